/** A line chart of shares by an amount, small enough to be read: points say what they are when they are pointed at. */

import { useSignal } from "@preact/signals";
import { fromZero, nearest, scale, ticks } from "./axes";
import type { Break, Drawn } from "./points";
import { useWidth } from "./width";
import { percent, short } from "./words";

export interface Series {
  readonly name: string;
  readonly points: readonly Drawn[];
  /** The ends of an interval at each point. */
  readonly band?: readonly (readonly [number, number])[];
}

interface ChartProps {
  readonly title: string;
  readonly series: readonly Series[];
  readonly x: string;
  readonly breaks?: readonly Break[];
}

const HEIGHT = 270;
const LEFT = 46;
const BOTTOM = 38;
const TOP = 20;
const RIGHT = 14;
const TIP = 260;

export function Chart({ title, series, x, breaks = [] }: ChartProps) {
  const [element, width] = useWidth<HTMLDivElement>(560);
  const at = useSignal(-1);
  const all = series.flatMap((each) => each.points);
  const [left, right] = fromZero(all.map((point) => point.x));
  const atX = scale(left, right, LEFT, width.value - RIGHT);
  const atY = scale(0, 1, HEIGHT - BOTTOM, TOP);
  const places = all.map((point) => ({ x: atX(point.x), y: atY(point.y) })); // in the order of `all`
  const byX = all.map((_, place) => place).sort((one, other) => all[one]!.x - all[other]!.x);
  const point = (event: PointerEvent) => {
    const box = element.current!.getBoundingClientRect();
    at.value = nearest(places, event.clientX - box.left, event.clientY - box.top);
  };
  const step = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    const by = steps[event.key];
    if (event.key === "Escape") at.value = -1;
    if (by === undefined) return;
    event.preventDefault();
    const next = byX.indexOf(at.value) + by;
    at.value = byX[Math.min(byX.length - 1, Math.max(0, next))] ?? -1;
  };
  const shown = all[at.value];
  return (
    <div class="chart" ref={element}>
      <svg
        width={width.value}
        height={HEIGHT}
        role="img"
        aria-label={`${title}. ${summary(series)}`}
        tabIndex={0}
        onPointerMove={point}
        onPointerLeave={() => (at.value = -1)}
        onFocus={() => at.value < 0 && (at.value = byX.at(-1) ?? -1)}
        onBlur={() => (at.value = -1)}
        onKeyDown={step}
      >
        <Axes left={left} right={right} width={width.value} atX={atX} atY={atY} x={x} />
        <Breaks breaks={breaks} atX={atX} width={width.value} />
        {series.map((each, place) => (
          <g key={each.name} class={`series series-${place}`}>
            {each.band !== undefined && each.band.length > 0 && <polygon points={band(each, atX, atY)} />}
            <polyline points={each.points.map((one) => `${atX(one.x)},${atY(one.y)}`).join(" ")} />
            {each.points.map((one, number) => (
              <circle key={number} cx={atX(one.x)} cy={atY(one.y)} r={one === shown ? 5.5 : 3.5} />
            ))}
          </g>
        ))}
      </svg>
      {shown !== undefined && (
        <div class="tip" role="status" style={tipAt(places[at.value]!, width.value)}>
          {shown.says.map((line, number) =>
            number === 0 ? <strong key={line}>{line}</strong> : <span key={line}>{line}</span>,
          )}
        </div>
      )}
    </div>
  );
}

interface AxesProps {
  readonly left: number;
  readonly right: number;
  readonly width: number;
  readonly atX: (value: number) => number;
  readonly atY: (value: number) => number;
  readonly x: string;
}

function Axes({ left, right, width, atX, atY, x }: AxesProps) {
  return (
    <>
      {[0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => (
        <g key={value} class="grid">
          <line x1={LEFT} x2={width - RIGHT} y1={atY(value)} y2={atY(value)} />
          <text x={LEFT - 7} y={atY(value) + 4} text-anchor="end">
            {percent(value, 0)}
          </text>
        </g>
      ))}
      {ticks(left, right, Math.max(2, Math.floor(width / 95))).map((value) => (
        <g key={value} class="grid">
          <line x1={atX(value)} x2={atX(value)} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM + 4} />
          <text x={atX(value)} y={HEIGHT - BOTTOM + 17} text-anchor="middle">
            {short(value)}
          </text>
        </g>
      ))}
      <text class="axis" x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 4} text-anchor="middle">
        {x}
      </text>
    </>
  );
}

/** Dashed lines where another strategy began; its name beside, where there is room before the next. */
function Breaks({ breaks, atX, width }: { breaks: readonly Break[]; atX: (value: number) => number; width: number }) {
  return (
    <>
      {breaks.map((each, place) => {
        const next = breaks[place + 1];
        const room = (next === undefined ? width : atX(next.x)) - atX(each.x);
        return (
          <g key={`${each.x} ${each.says}`} class="break">
            <line x1={atX(each.x)} x2={atX(each.x)} y1={TOP} y2={HEIGHT - BOTTOM} />
            {room > 6.4 * each.says.length && (
              <text x={atX(each.x) + 4} y={TOP - 6}>
                {each.says}
              </text>
            )}
          </g>
        );
      })}
    </>
  );
}

function band(series: Series, atX: (value: number) => number, atY: (value: number) => number): string {
  const ends = (series.band ?? []).map(([low, high], place) => {
    const at = atX(series.points[place]!.x);
    return [`${at},${atY(Math.max(0, low))}`, `${at},${atY(Math.min(1, high))}`] as const;
  });
  return [...ends.map(([low]) => low), ...ends.map(([, high]) => high).reverse()].join(" ");
}

function tipAt({ x, y }: { readonly x: number; readonly y: number }, width: number): Record<string, string> {
  const top = `${Math.max(0, y - 34)}px`;
  return x + 12 + TIP > width ? { right: `${width - x + 12}px`, top } : { left: `${x + 12}px`, top };
}

function summary(series: readonly Series[]): string {
  return series.map((each) => `${each.name}: ${each.points.at(-1)?.says.join(", ") ?? "nothing yet"}`).join("; ");
}
