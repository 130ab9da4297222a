/** Memory that is not there is a busy node, not a broken one: the same request may find it a moment later or elsewhere. */
import { CosyError } from '../../shared/errors/index.ts';

const RETRY_MS = 2000;

/** What ONNX Runtime, its CUDA provider, the C++ library and V8 say. */
const NO_MEMORY = /bad_alloc|bad allocation|failed to allocate|allocation failed|cuda.*out of memory|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED/i;

/** `overloaded` with a time to come again when memory was what was missing; any other failure as it is. */
export function withoutMemory(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CosyError || !NO_MEMORY.test(error.message)) return error;
  return new CosyError('overloaded', `This node has no memory left for the request: try again in ${RETRY_MS / 1000} s.`, { retryAfterMs: RETRY_MS, cause: error });
}
