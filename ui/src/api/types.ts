/** The answers of /api/v1, generated from api/openapi.yaml. Null means no traffic, never zero. */
export type {
  Edge, EdgeDetail, Graph, Instance, Node, NodeDetail, Operation, Point, Problem, Quantiles, Status, Window,
} from './schema';
import type { Node } from './schema';

export type Kind = Node['kind'];
export type Health = Node['health'];
