// Requests to the hub. Paths are relative to the page, so that it also works
// below a path of a proxy.

import type { Page } from './wire';

/** What the hub answered where it refused (problem+json). */
export class Problem extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly fields: { field: string; message: string }[] = [],
  ) {
    super(detail || code);
  }
}

let signedOut = (): void => {};

/** Says what to do when the hub does not know who asks. */
export function onSignedOut(what: () => void): void {
  signedOut = what;
}

/** A whole address for a path of the hub. */
export function address(path: string): string {
  return new URL(path, document.baseURI).href;
}

async function call<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const response = await fetch(address(path), {
    method,
    headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    signal: AbortSignal.timeout(15_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: unknown = text ? safely(text) : null;
  if (response.status === 401) signedOut();
  if (!response.ok) throw problem(response, answer);
  return answer as T;
}

function safely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problem(response: Response, answer: unknown): Problem {
  const p = (answer ?? {}) as { code?: string; title?: string; detail?: string; errors?: { field: string; message: string }[] };
  return new Problem(p.code ?? String(response.status), p.detail || p.title || `${response.status} ${response.statusText}`, p.errors ?? []);
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path);
export const del = <T>(path: string): Promise<T> => call<T>('DELETE', path);
export const put = <T>(path: string, body: unknown): Promise<T> => call<T>('PUT', path, body);
export const post = <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> => call<T>('POST', path, body, headers);

/** All pages of a list, up to most items. */
export async function list<T>(path: string, query: Record<string, string>, most: number): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const q: URLSearchParams = new URLSearchParams({ ...query, limit: '1000', ...(after ? { after } : {}) });
    const page: Page<T> = await get<Page<T>>(`${path}?${q}`);
    items.push(...page.items);
    after = page.next;
  } while (after && items.length < most);
  return items;
}
