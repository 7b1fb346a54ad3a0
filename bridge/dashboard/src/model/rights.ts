// What the page offers to whom. The hub decides; this is so that nobody is shown
// what it would refuse.

/** The rights of who looks at the page, as the hub tells them. */
export interface Rights {
  roles: readonly string[];
  areas: readonly string[]; // ids; "*": all
}

const announcing = ['announcer', 'operator', 'admin'];

/** Whether somebody may announce in an area; without one, whether in any. */
export function announces(who: Rights, area?: string): boolean {
  if (who.roles.includes('admin')) return true;
  if (!who.roles.some((r) => announcing.includes(r))) return false;
  return area === undefined ? who.areas.length > 0 : who.areas.includes('*') || who.areas.includes(area);
}
