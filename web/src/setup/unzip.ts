/** Files of a zip archive, one after the other, unpacked by the browser (APPNOTE.TXT 6.3, without encryption and spanning). */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

export interface Entry {
  readonly name: string;
  readonly size: number;
  /** Unpack it. */
  read(): Promise<Blob>;
}

/** What an archive holds, folders left out. Throws where it is none, or of a kind that this cannot read. */
export async function entriesOf(archive: Blob): Promise<Entry[]> {
  const tail = await bytesOf(archive, Math.max(0, archive.size - 65_557), archive.size);
  const end = lastIndex(tail, END);
  if (end < 0) throw new Error("This is no zip archive.");
  const count = tail.getUint16(end + 10, true);
  const size = tail.getUint32(end + 12, true);
  const start = tail.getUint32(end + 16, true);
  if (count === 0xffff || start === 0xffffffff) {
    throw new Error("The archive is larger than 4 GB: use `regionwise import` for it.");
  }
  const directory = await bytesOf(archive, start, start + size);
  const found: Entry[] = [];
  for (let at = 0, left = count; left > 0; left--) {
    if (directory.getUint32(at, true) !== ENTRY) throw new Error("The archive is damaged.");
    const [method, packed, unpacked] = [10, 20, 24].map((offset) => read(directory, at + offset, offset === 10)) as [
      number,
      number,
      number,
    ];
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((offset) => directory.getUint16(at + offset, true)) as [
      number,
      number,
      number,
    ];
    const offset = directory.getUint32(at + 42, true);
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameSize));
    if (!name.endsWith("/") && !name.startsWith("__MACOSX/")) {
      found.push({ name, size: unpacked, read: () => unpack(archive, offset, packed, method, name) });
    }
    at += 46 + nameSize + extraSize + commentSize;
  }
  return found;
}

async function unpack(archive: Blob, offset: number, packed: number, method: number, name: string): Promise<Blob> {
  const head = await bytesOf(archive, offset, offset + 30);
  const from = offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const data = archive.slice(from, from + packed);
  if (method === STORED) return data;
  if (method !== DEFLATED) throw new Error(`${name} is packed in a way that browsers do not know.`);
  return new Response(data.stream().pipeThrough(new DecompressionStream("deflate-raw"))).blob();
}

async function bytesOf(archive: Blob, start: number, end: number): Promise<DataView> {
  return new DataView(await archive.slice(start, end).arrayBuffer());
}

function lastIndex(view: DataView, mark: number): number {
  for (let at = view.byteLength - 22; at >= 0; at--) if (view.getUint32(at, true) === mark) return at;
  return -1;
}

function read(view: DataView, at: number, short: boolean): number {
  return short ? view.getUint16(at, true) : view.getUint32(at, true);
}
