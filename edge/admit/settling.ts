/**
 * Speech on its way, paid by what its listener takes. Whatever becomes of it (its end, a listener who leaves, a node that
 * breaks off), the reservation is settled once; meanwhile it knows how far the listener came.
 */
import type { Delivered, Reservation } from './quota.ts';

/** Counts parts as they are taken. */
export type Counter<P> = { readonly take: (part: P) => void; readonly heard: (characters: number) => Delivered };

/** The same parts. An object rather than a generator: a generator that is left before its first step would settle nothing. */
export function settling<P>(parts: AsyncGenerator<P>, reservation: Reservation, counter: Counter<P>): AsyncGenerator<P> {
  const heard = () => counter.heard(reservation.characters);
  const settle = () => void reservation.settle(heard());
  const counted: AsyncGenerator<P> = {
    async next() {
      try {
        const step = await parts.next();
        if (step.done) settle();
        else {
          counter.take(step.value);
          reservation.progress(heard());
        }
        return step;
      } catch (error) {
        settle();
        throw error;
      }
    },
    async return(value) {
      settle();
      return parts.return(value);
    },
    async throw(error) {
      settle();
      return parts.throw(error);
    },
    [Symbol.asyncIterator]: () => counted,
    [Symbol.asyncDispose]: async () => void (await counted.return(undefined)),
  };
  return counted;
}
