/** Label maps as 8-bit PNG: grey values, or indices of a palette, are class ids. Browsers' own decoders give colours instead. */

import type { LabelMap } from "./label_map";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GREY = 0;
const PALETTE = 3;

export async function encodePng(map: LabelMap): Promise<Uint8Array<ArrayBuffer>> {
  const rows = new Uint8Array(map.height * (map.width + 1));
  for (let row = 0; row < map.height; row++) {
    // The first byte of a row names its filter: 0 is none.
    rows.set(map.ids.subarray(row * map.width, (row + 1) * map.width), row * (map.width + 1) + 1);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, map.width);
  view.setUint32(4, map.height);
  header.set([8, GREY, 0, 0, 0], 8);
  const parts = [
    chunk("IHDR", header),
    chunk("IDAT", await through(rows, new CompressionStream("deflate"))),
    chunk("IEND", new Uint8Array()),
  ];
  return joined([new Uint8Array(SIGNATURE), ...parts]);
}

/** Throws where the bytes are no 8-bit PNG of grey values or a palette, or are interlaced. */
export async function decodePng(bytes: Uint8Array): Promise<LabelMap> {
  if (!SIGNATURE.every((byte, at) => bytes[at] === byte)) throw new Error("These bytes are no PNG.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [width, height] = [0, 0];
  const packed: Uint8Array<ArrayBuffer>[] = [];
  for (let at = SIGNATURE.length; at < bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.slice(at + 8, at + 8 + length);
    if (kind === "IHDR") {
      width = view.getUint32(at + 8);
      height = view.getUint32(at + 12);
      const [depth, colour, , , interlaced] = data.subarray(8);
      if (depth !== 8 || (colour !== GREY && colour !== PALETTE) || interlaced !== 0) {
        throw new Error("A label map is an 8-bit PNG of grey values or a palette, without interlacing.");
      }
    }
    if (kind === "IDAT") packed.push(data);
    at += length + 12;
  }
  return {
    width,
    height,
    ids: unfiltered(await through(joined(packed), new DecompressionStream("deflate")), width, height),
  };
}

/** The rows without their filters, of one byte a pixel (PNG specification, section 9). */
function unfiltered(rows: Uint8Array, width: number, height: number): Uint8Array {
  if (rows.length !== height * (width + 1)) throw new Error("The PNG is damaged.");
  const ids = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const filter = rows[row * (width + 1)];
    for (let col = 0; col < width; col++) {
      const at = row * width + col;
      const left = col > 0 ? ids[at - 1]! : 0;
      const up = row > 0 ? ids[at - width]! : 0;
      const corner = col > 0 && row > 0 ? ids[at - width - 1]! : 0;
      const guesses = [0, left, up, (left + up) >> 1, paeth(left, up, corner)];
      ids[at] = rows[row * (width + 1) + 1 + col]! + guesses[filter!]!;
    }
  }
  return ids;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [byLeft, byUp, byCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

function chunk(kind: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const found = new Uint8Array(data.length + 12);
  const view = new DataView(found.buffer);
  view.setUint32(0, data.length);
  found.set(
    [...kind].map((letter) => letter.charCodeAt(0)),
    4,
  );
  found.set(data, 8);
  view.setUint32(data.length + 8, crc32(found.subarray(4, data.length + 8)));
  return found;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(out).arrayBuffer());
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const found = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}
