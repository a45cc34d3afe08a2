/** What the series of a chart are filled with: colours that are told apart in both themes, and patterns for those who cannot. */

const TILE = 8;

type Stroke = (context: CanvasRenderingContext2D, size: number) => void;

function lines(...ends: readonly (readonly [number, number, number, number])[]): Stroke {
  return (context, size) => {
    context.beginPath();
    for (const [fromX, fromY, toX, toY] of ends) {
      context.moveTo(fromX * size, fromY * size);
      context.lineTo(toX * size, toY * size);
    }
    context.stroke();
  };
}

function dots(radius: number): Stroke {
  return (context, size) => {
    context.beginPath();
    context.arc(size / 2, size / 2, radius * size, 0, 2 * Math.PI);
    context.fill();
  };
}

// Diagonals go beyond the corners, so that tiles join.
const RISING = [[-0.25, 0.25, 0.25, -0.25], [0, 1, 1, 0], [0.75, 1.25, 1.25, 0.75]] as const;
const FALLING = [[-0.25, 0.75, 0.25, 1.25], [0, 0, 1, 1], [0.75, -0.25, 1.25, 0.25]] as const;
const LEVEL = [[0, 0.5, 1, 0.5]] as const;
const UPRIGHT = [[0.5, 0, 0.5, 1]] as const;

/** One for each series, and the last one for all others. The first one is plain. */
const PATTERNS: readonly Stroke[] = [
  () => null,
  lines(...RISING),
  dots(0.2),
  lines(...LEVEL),
  lines(...FALLING),
  lines(...UPRIGHT),
  lines(...RISING, ...FALLING),
  lines(...LEVEL, ...UPRIGHT),
  dots(0.35),
];

/** The fill of a series on a canvas, of the colours of the series and of what is behind the chart. */
export function fillOf(paint: number, colour: string, behind: string, ratio = devicePixelRatio): CanvasPattern | string {
  const tile = document.createElement('canvas');
  const size = Math.round(TILE * ratio);
  [tile.width, tile.height] = [size, size];
  const context = tile.getContext('2d');
  if (!context) {
    return colour;
  }
  context.fillStyle = colour;
  context.fillRect(0, 0, size, size);
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [behind, behind, ratio * 1.25];
  PATTERNS[paint]?.(context, size);
  return context.createPattern(tile, 'repeat') ?? colour;
}
