/** Bodies that are too large, too slow or malformed, read by the same code that runs in the Worker. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import fc from 'fast-check';
import { readJson } from '../../../edge/admit/body.ts';
import { readMultipart } from '../../../edge/admit/multipart.ts';
import type { MultipartLimits } from '../../../edge/admit/multipart.ts';

const LIMITS: MultipartLimits = { maxBytes: 4096, texts: { name: 20, consent: 50 }, files: { clip: 2000 } };

function json(pieces: readonly string[], headers: Record<string, string> = {}): { request: Request; taken: () => number } {
  let taken = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = pieces[taken++];
        if (piece === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(piece));
      },
    },
    { highWaterMark: 0 },
  );
  return { request: streamed(body, headers), taken: () => taken };
}

function streamed(body: ReadableStream, headers: Record<string, string> = {}): Request {
  // Node wants to know that the answer waits for the body; the type of the browsers does not have it
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, headers, duplex: 'half' };
  return new Request('http://edge/', init);
}

describe('readJson', () => {
  it('takes a body at its limit, in any pieces', async () => {
    expect(await readJson(json(['{"a":"é', 'é"}'.slice(0, 1), '"}']).request, 13)).toEqual({ a: 'éé' });
  });

  it('stops at the first piece beyond the limit, without a length and with a false one', async () => {
    for (const headers of [{}, { 'content-length': '5' }] as Record<string, string>[]) {
      const { request, taken } = json(Array.from({ length: 100 }, () => 'x'.repeat(10)), headers);
      await expect(readJson(request, 25)).rejects.toMatchObject({ code: 'body_too_large' });
      expect(taken()).toBeLessThanOrEqual(4);
    }
  });

  it('takes what a client still writes a little beyond the limit, so that it reads the answer, and refuses the rest unread', async () => {
    const near = json(['x'.repeat(30)], { 'content-length': '30' });
    await expect(readJson(near.request, 10)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(near.taken()).toBe(2);
    const far = json(['x'.repeat(100)], { 'content-length': '100' });
    await expect(readJson(far.request, 10)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(far.taken()).toBe(0);
  });

  it('refuses what is no JSON', async () => {
    await expect(readJson(json(['{']).request, 10)).rejects.toMatchObject({ code: 'invalid_json' });
    await expect(readJson(json(['{}'], { 'content-type': 'text/plain' }).request, 10)).rejects.toMatchObject({ code: 'unsupported_media_type' });
  });
});

describe('a slow body', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is cut when nothing comes for the stated time, and its stream is released', async () => {
    const cancelled = vi.fn();
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{')), cancel: cancelled });
    const reading = readJson(streamed(body), 100);
    const refused = expect(reading).rejects.toMatchObject({ code: 'body_too_slow', status: 408, retryable: true });
    await vi.advanceTimersByTimeAsync(9_900);
    expect(cancelled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    await refused;
    expect(cancelled).toHaveBeenCalled();
  });

  it('is cut when it drips for longer than a whole body may take', async () => {
    let drip: ReturnType<typeof setInterval> | undefined;
    const body = new ReadableStream({
      start: (controller) => void (drip = setInterval(() => controller.enqueue(new TextEncoder().encode(' ')), 5000)),
      cancel: () => clearInterval(drip),
    });
    const reading = readJson(streamed(body), 100);
    const refused = expect(reading).rejects.toMatchObject({ code: 'body_too_slow' });
    await vi.advanceTimersByTimeAsync(121_000);
    await refused;
  });
});

async function upload(form: FormData): Promise<Request> {
  const { headers, body } = new Response(form);
  return new Request('http://edge/', { method: 'POST', body: await new Response(body).arrayBuffer(), headers });
}

function raw(body: string, type = 'multipart/form-data; boundary=b'): Request {
  return new Request('http://edge/', { method: 'POST', body, headers: { 'content-type': type } });
}

describe('readMultipart', () => {
  it('gives back what a client sent, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1900 }), fc.string({ unit: 'grapheme', maxLength: 4 }), async (bytes, name) => {
        const form = new FormData();
        form.set('name', name.replaceAll(/[\r\n]/g, ' '));
        form.set('clip', new File([bytes as Uint8Array<ArrayBuffer>], 'a "b" é.wav', { type: 'audio/wav' }));
        form.set('colour', 'blue');
        const read = await readMultipart(await upload(form), { ...LIMITS, texts: { ...LIMITS.texts, name: 100 } });
        expect(read.texts.get('name')).toBe(name.replaceAll(/[\r\n]/g, ' '));
        expect(read.files.get('clip')?.bytes).toEqual(bytes);
        expect(read.files.get('clip')?.mediaType).toBe('audio/wav');
        expect(read.unknown).toEqual(['colour']);
      }),
      { numRuns: 50 },
    );
  });

  it('has a limit for the body, for each field and for the number of parts', async () => {
    const file = (size: number) => new File([new Uint8Array(size)], 'a.wav');
    const form = (entries: [string, string | File][]) => entries.reduce((all, [name, value]) => (all.append(name, value), all), new FormData());
    await expect(readMultipart(await upload(form([['clip', file(5000)]])), LIMITS)).rejects.toMatchObject({ code: 'body_too_large' });
    await expect(readMultipart(await upload(form([['clip', file(2001)]])), LIMITS)).rejects.toMatchObject({ code: 'body_too_large', param: 'clip' });
    await expect(readMultipart(await upload(form([['name', 'x'.repeat(21)]])), LIMITS)).rejects.toMatchObject({ code: 'body_too_large', param: 'name' });
    await expect(readMultipart(await upload(form([['name', 'a'], ['name', 'b']])), LIMITS)).rejects.toMatchObject({ code: 'invalid_value', param: 'name' });
    await expect(readMultipart(await upload(form([['clip', 'a']])), LIMITS)).rejects.toMatchObject({ code: 'invalid_value', param: 'clip' });
    await expect(readMultipart(await upload(form(Array.from({ length: 25 }, (_, i) => [`f${i}`, '']))), LIMITS)).rejects.toMatchObject({ code: 'multipart_invalid', message: expect.stringContaining('too many parts') });
  });

  it.each([
    ['no boundary', '', 'multipart/form-data'],
    ['a boundary of 71 characters', '', `multipart/form-data; boundary=${'b'.repeat(71)}`],
    ['nothing', '', undefined],
    ['no first boundary', 'hello', undefined],
    ['no last boundary', '--b\r\ncontent-disposition: form-data; name="name"\r\n\r\nx', undefined],
    ['a part without a name', '--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--', undefined],
    ['a part without a head', '--b\r\n\r\n\r\nx\r\n--b--', undefined],
    ['an endless head', `--b\r\n${'a'.repeat(3900)}`, undefined],
    ['a long head', `--b\r\nx: ${'a'.repeat(4090)}\r\n\r\n\r\n--b--`, undefined],
    ['a name of the language itself', '--b\r\ncontent-disposition: form-data; name="__proto__"\r\n\r\nx\r\n--b-', undefined],
  ])('refuses %s in one line', async (_, body, type) => {
    await expect(readMultipart(raw(body, type), { ...LIMITS, maxBytes: 8192 })).rejects.toMatchObject({ code: 'multipart_invalid', message: expect.stringMatching(/^[^\n]{20,200}$/) });
  });

  it('refuses text that is not UTF-8, and takes bytes after the last boundary for nothing', async () => {
    const bytes = new Uint8Array([...new TextEncoder().encode('--b\r\ncontent-disposition: form-data; name="name"\r\n\r\n'), 0xff, ...new TextEncoder().encode('\r\n--b--')]);
    await expect(readMultipart(new Request('http://edge/', { method: 'POST', body: bytes, headers: { 'content-type': 'multipart/form-data; boundary=b' } }), LIMITS)).rejects.toMatchObject({ code: 'multipart_invalid' });
    const form = await readMultipart(raw('--b\r\ncontent-disposition: form-data; name="name"\r\n\r\nx\r\n--b--\r\nepilogue'), LIMITS);
    expect(form.texts.get('name')).toBe('x');
  });
});
