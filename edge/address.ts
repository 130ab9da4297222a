/** Which literal addresses belong to the public internet (IANA special-purpose registries, RFC 6890). */

/** Refused blocks of IPv4: first address, prefix length. */
const SPECIAL_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;

/** `1.2.3.4` or `[2606:4700::1]`, as a URL's hostname has them. False for anything else. */
export function isPublic(host: string): boolean {
  if (host.startsWith('[')) return isPublicV6(groups(host));
  const address = v4(host);
  return address !== undefined && !SPECIAL_V4.some(([first, length]) => address >>> (32 - length) === (v4(first) ?? 0) >>> (32 - length));
}

/** This machine itself, by address or by its one name. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Only 2000::/3 is handed out. Inside it: 2001::/23 (Teredo and other protocols), 2001:db8::/32 and 3fff::/20 (examples),
 * 2002::/16 (wraps an IPv4 address). Mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96) lies outside.
 */
function isPublicV6(address: readonly number[] | undefined): boolean {
  if (!address) return false;
  const [first = 0, second = 0] = address;
  if (first >>> 13 !== 1 || first === 0x2002) return false;
  if (first === 0x2001 && (second < 0x200 || second === 0xdb8)) return false;
  return !(first === 0x3fff && second < 0x1000);
}

function v4(text: string): number | undefined {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0) >>> 0;
}

/** Eight numbers; the URL parser has checked the text and written an embedded IPv4 address as two groups. */
function groups(host: string): number[] | undefined {
  const parsed = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : '';
  const [head = '', tail] = parsed.slice(1, -1).split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const all = [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0'), ...right].map((group) => Number.parseInt(group, 16));
  return all.length === 8 && all.every((group) => group >= 0 && group <= 0xffff) ? all : undefined;
}
