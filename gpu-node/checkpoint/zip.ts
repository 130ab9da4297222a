/**
 * The zip container of `torch.save`: entries are stored, so a tensor is a range of the file. Nothing is inflated.
 * Format: APPNOTE 6.3; layout: torch/csrc/serialize (caffe2 PyTorchFileWriter).
 */
import { fstatSync } from 'node:fs';
import { fromFdPromise } from 'yauzl';
import { CosyError } from '../../shared/errors/index.ts';

/** Bytes of one entry in the file. */
export type Range = { readonly position: number; readonly length: number };

/** A full-size file has 1124 entries; a directory of more is not one of ours. */
const MAX_ENTRIES = 100_000;
const STORED = 0;
const ENCRYPTED = 1;

/**
 * Ranges of all entries, by name without the archive's leading folder. `handle` stays open. Throws `checkpoint_invalid`
 * (not a zip, cut short) or `checkpoint_refused` (compressed, encrypted, overlapping, too many).
 */
export async function readZip(handle: number, file: string): Promise<Map<string, Range>> {
  const size = fstatSync(handle).size;
  const entries = new Map<string, Range>();
  try {
    const zip = await fromFdPromise(handle, { autoClose: false, lazyEntries: true });
    if (zip.entryCount > MAX_ENTRIES) refuse(file, `has ${zip.entryCount} entries`);
    for await (const entry of zip.eachEntry()) {
      if (entry.compressionMethod !== STORED || entry.uncompressedSize !== entry.compressedSize) refuse(file, 'has compressed entries');
      if ((entry.generalPurposeBitFlag & ENCRYPTED) !== 0) refuse(file, 'is encrypted');
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const range = { position: fileDataStart, length: entry.compressedSize };
      if (range.position + range.length > size) throw new Error('an entry ends after the file');
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

/** Text from a file made fit for one line of a message. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
}

/** Entries that share bytes are how a small archive claims to be a large one. */
function refuseOverlap(entries: ReadonlyMap<string, Range>, file: string): void {
  const ranges = [...entries.values()].filter(({ length }) => length > 0).sort((a, b) => a.position - b.position);
  for (const [index, range] of ranges.entries()) {
    const next = ranges[index + 1];
    if (next !== undefined && range.position + range.length > next.position) refuse(file, 'has overlapping entries');
  }
}

function refuse(file: string, reason: string): never {
  throw new CosyError('checkpoint_refused', `${file} ${reason}, which torch.save never writes: it was not opened. Download it from the official source.`);
}
