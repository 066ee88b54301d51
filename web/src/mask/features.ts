/** What an encoder sees of a region, in cells: how unlike each pixel is to one that was clicked. */

export interface Features {
  readonly channels: number;
  readonly rows: number;
  readonly cols: number;
  /** Pixels from one cell to the next; the first one's middle lies at (left, top) of the region. */
  readonly stride: number;
  readonly left: number;
  readonly top: number;
  /** Channel by channel, row by row. */
  readonly values: Uint8Array;
}

interface Between {
  readonly first: number;
  readonly second: number;
  readonly part: number;
}

/**
 * The distance of each pixel's features from those at (x, y), 0 to 255, for a part of the region: width x height pixels from
 * (left, top). Between cells features are interpolated.
 */
export function unlikeness(
  features: Features,
  part: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  x: number,
  y: number,
): Uint8Array {
  const { channels, rows, cols, values } = features;
  const across = Array.from({ length: part.width }, (_, col) =>
    between((part.left + col + 0.5 - features.left) / features.stride, cols),
  );
  const down = Array.from({ length: part.height }, (_, row) =>
    between((part.top + row + 0.5 - features.top) / features.stride, rows),
  );
  const at = (channel: number, row: Between, col: Between): number => {
    const base = channel * rows * cols;
    const upper = mix(values[base + row.first * cols + col.first]!, values[base + row.first * cols + col.second]!, col);
    const lower = mix(
      values[base + row.second * cols + col.first]!,
      values[base + row.second * cols + col.second]!,
      col,
    );
    return mix(upper, lower, row);
  };
  const clicked = Array.from({ length: channels }, (_, channel) =>
    at(channel, down[y - part.top]!, across[x - part.left]!),
  );
  const squares = new Float32Array(part.width * part.height);
  for (let channel = 0; channel < channels; channel++) {
    const own = clicked[channel]!;
    for (let row = 0; row < part.height; row++) {
      for (let col = 0; col < part.width; col++) {
        const difference = at(channel, down[row]!, across[col]!) - own;
        squares[row * part.width + col]! += difference * difference;
      }
    }
  }
  return Uint8Array.from(squares, (square) => Math.min(255, Math.sqrt(square)));
}

function between(place: number, count: number): Between {
  const inside = Math.min(count - 1, Math.max(0, place));
  const first = Math.floor(inside);
  return { first, second: Math.min(count - 1, first + 1), part: inside - first };
}

function mix(one: number, other: number, { part }: Between): number {
  return one + part * (other - one);
}
