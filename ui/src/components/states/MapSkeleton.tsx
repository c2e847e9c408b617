import classes from './States.module.css';

const BOXES = [[60, 260], [340, 150], [340, 370], [640, 90], [640, 250], [640, 420], [930, 180], [930, 350]] as const;
const LINKS = [[0, 1], [0, 2], [1, 3], [1, 4], [2, 4], [2, 5], [4, 6], [4, 7]] as const;

/** The outline of a map while the first answer is on its way. */
export function MapSkeleton() {
  return (
    <div className={classes['ghost']} role="status" aria-label="Loading the service map">
      <svg viewBox="0 0 1180 560" preserveAspectRatio="xMidYMid meet" aria-hidden="true">
        <g>
          {LINKS.map(([a, b]) => {
            const [x1, y1] = [BOXES[a][0] + 190, BOXES[a][1] + 28];
            const [x2, y2] = [BOXES[b][0], BOXES[b][1] + 28];
            return <path key={`${a} ${b}`} d={`M${x1} ${y1}C${x1 + 50} ${y1} ${x2 - 50} ${y2} ${x2} ${y2}`} />;
          })}
          {BOXES.map(([x, y]) => (
            <g key={`${x} ${y}`}>
              <rect x={x} y={y} width="190" height="56" rx="13" />
              <rect className={classes['line']} x={x + 12} y={y + 12} width="32" height="32" rx="9" />
              <rect className={classes['line']} x={x + 56} y={y + 15} width="90" height="10" rx="5" />
              <rect className={classes['line']} x={x + 56} y={y + 33} width="60" height="8" rx="4" />
            </g>
          ))}
        </g>
      </svg>
    </div>
  );
}
