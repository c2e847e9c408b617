import type { Column, Order } from '../../domain/table';
import { ChevronIcon } from '../icons';

interface SortHeadProps {
  column: Column<never>;
  order: Order;
  onSort: () => void;
}

export function SortHead({ column, order, onSort }: SortHeadProps) {
  const active = order.key === column.key;
  const way = active ? (order.descending ? 'descending' : 'ascending') : 'none';
  return (
    <th scope="col" aria-sort={way} data-numeric={column.numeric || undefined}>
      <button type="button" onClick={onSort}>
        {column.title}
        <ChevronIcon size={13} style={{ opacity: active ? 1 : 0, transform: order.descending ? undefined : 'rotate(180deg)' }} />
      </button>
    </th>
  );
}
