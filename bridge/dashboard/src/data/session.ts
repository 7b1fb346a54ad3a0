// Who looks at the page. In open mode everybody may; else the hub wants a name
// and a password once, and the browser keeps a cookie that no script can read.

import { signal } from '@preact/signals';
import { get, onSignedOut, post, Problem } from './rest';

/** Who is signed in, as the hub says it. */
export interface Who {
  name: string | null; // null: open mode, nobody has to say who he is
  roles: string[];
  areas: string[]; // ids; "*": all
  expires_at: string | null;
}

/** Who is signed in; null: nobody, and somebody has to; undefined: not known yet. */
export const who = signal<Who | null | undefined>(undefined);

let waiting: (() => void)[] = [];

/** Returns when somebody is signed in; throws where the hub cannot say. */
export async function signedIn(): Promise<void> {
  try {
    who.value = await get<Who>('auth/login');
    return;
  } catch (e) {
    if (!(e instanceof Problem) || e.code !== 'unauthorized') throw e;
  }
  who.value = null;
  await new Promise<void>((done) => waiting.push(done));
}

/** Signs in; throws what the hub refused with. */
export async function signIn(name: string, password: string): Promise<void> {
  who.value = await post<Who>('auth/login', { name, password });
  const all = waiting;
  waiting = [];
  for (const done of all) done();
}

/** Signs out and begins anew, so that nothing of what was shown stays. */
export async function signOut(): Promise<void> {
  await post('auth/logout');
  location.reload();
}

// The session ended while the page was open.
onSignedOut(() => {
  if (who.peek()) who.value = null;
});
