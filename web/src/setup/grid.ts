/** How many regions an image divides into, as the service counts them. */

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** Cells that the lower and the right edge cut short count too. */
export function regionsOf(image: Size, cell: Size): number {
  return Math.ceil(image.height / cell.height) * Math.ceil(image.width / cell.width);
}
