import type { Problem } from './types';

/** What went wrong with a request, as the server (RFC 9457) or the network tells it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly title: string,
    readonly detail: string,
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
  ) {
    super(detail === '' ? title : `${title}: ${detail}`);
  }
}

/** GETs JSON from this origin. Rejects with ApiError, or with the signal's reason. */
export async function getJSON<T>(path: string, params: Record<string, string>, signal: AbortSignal): Promise<T> {
  const query = new URLSearchParams(params).toString();
  const response = await request(query === '' ? path : `${path}?${query}`, signal);
  if (!response.ok) throw await problem(response);
  try {
    return (await response.json()) as T;
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError('The answer is not JSON', `${path}: ${String(error)}`, response.status);
  }
}

/** Why the server is not ready; null when it is. */
export async function getReadiness(signal: AbortSignal): Promise<string | null> {
  const response = await request('/-/ready', signal);
  if (response.ok) return null;
  const { title, detail } = await problem(response);
  return detail === '' ? title : detail;
}

async function request(url: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal, headers: { Accept: 'application/json' } });
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError('Toposcope does not answer', String(error), 0);
  }
}

async function problem(response: Response): Promise<ApiError> {
  const fallback = `${response.status} ${response.statusText}`.trim();
  try {
    const body = (await response.json()) as Partial<Record<keyof Problem, unknown>>;
    const text = (value: unknown, otherwise: string) => (typeof value === 'string' && value !== '' ? value : otherwise);
    return new ApiError(text(body.title, fallback), text(body.detail, ''), response.status);
  } catch {
    return new ApiError(fallback, '', response.status);
  }
}
