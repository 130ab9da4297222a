/**
 * The zip container of `torch.save`: entries are stored, so a tensor is a range of the file. A small voice may deflate its
 * entries (torch reads those too): each is inflated by itself when it is read, to no more than the size it declares.
 * Format: APPNOTE 6.3; layout: torch/csrc/serialize (caffe2 PyTorchFileWriter).
 */
import { fstatSync } from 'node:fs';
import { fromFdPromise } from 'yauzl';
import { CosyError } from '../../shared/errors/index.ts';

/** One entry: `length` bytes, at `position` in the file; `deflated`: the bytes it takes there when it is compressed. */
export type Range = { readonly position: number; readonly length: number; readonly deflated?: number };

/** A full-size file has 1124 entries; a directory of more is not one of ours. */
const MAX_ENTRIES = 100_000;
/** All deflated entries together, inflated: a bundled voice has 50 MB, and nothing large is worth inflating at each start. */
const MAX_INFLATED_BYTES = 2 ** 30;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;

/**
 * Ranges of all entries, by name without the archive's leading folder. `handle` stays open. Throws `checkpoint_invalid`
 * (not a zip, cut short) or `checkpoint_refused` (encrypted, overlapping, inflating to too much, too many).
 */
export async function readZip(handle: number, file: string): Promise<Map<string, Range>> {
  const size = fstatSync(handle).size;
  const entries = new Map<string, Range>();
  let inflatedBytes = 0;
  try {
    const zip = await fromFdPromise(handle, { autoClose: false, lazyEntries: true });
    if (zip.entryCount > MAX_ENTRIES) refuse(file, `has ${zip.entryCount} entries`);
    for await (const entry of zip.eachEntry()) {
      const { compressionMethod, compressedSize, uncompressedSize } = entry;
      if ((entry.generalPurposeBitFlag & ENCRYPTED) !== 0) refuse(file, 'is encrypted');
      if (compressionMethod !== STORED && compressionMethod !== DEFLATED) refuse(file, `has entries of compression method ${compressionMethod}`);
      if (compressionMethod === STORED && uncompressedSize !== compressedSize) refuse(file, 'has entries of two sizes');
      if (compressionMethod === DEFLATED) inflatedBytes += uncompressedSize;
      if (inflatedBytes > MAX_INFLATED_BYTES) refuse(file, `inflates to more than ${MAX_INFLATED_BYTES} bytes`);
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const range = { position: fileDataStart, length: uncompressedSize, ...(compressionMethod === DEFLATED ? { deflated: compressedSize } : {}) };
      if (range.position + bytesInFile(range) > size) throw new Error('an entry ends after the file');
      const name = entry.fileName.slice(entry.fileName.indexOf('/') + 1);
      if (entries.has(name)) refuse(file, `has the entry ${printable(name)} twice`);
      entries.set(name, range);
    }
  } catch (error) {
    if (error instanceof CosyError) throw error;
    const detail = error instanceof Error ? error.message : String(error);
    throw new CosyError('checkpoint_invalid', `${file} is not a complete torch file (${printable(detail)}). Download it again.`, { cause: error });
  }
  refuseOverlap(entries, file);
  return entries;
}

/** Bytes that an entry takes in the file. */
export function bytesInFile({ length, deflated }: Range): number {
  return deflated ?? length;
}

/** Text from a file made fit for one line of a message. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
}

/** Entries that share bytes are how a small archive claims to be a large one. */
function refuseOverlap(entries: ReadonlyMap<string, Range>, file: string): void {
  const ranges = [...entries.values()].filter((range) => bytesInFile(range) > 0).toSorted((a, b) => a.position - b.position);
  for (const [index, range] of ranges.entries()) {
    const next = ranges[index + 1];
    if (next !== undefined && range.position + bytesInFile(range) > next.position) refuse(file, 'has overlapping entries');
  }
}

function refuse(file: string, reason: string): never {
  throw new CosyError('checkpoint_refused', `${file} ${reason}, which torch.save never writes: it was not opened. Download it from the official source.`);
}
