import { expect, test } from 'vitest';
import { announces } from './rights';

test.each([
  ['open mode', ['admin'], ['*'], true, true],
  ['an admin, whatever his areas', ['admin'], [], true, true],
  ['a viewer', ['viewer'], ['*'], false, false],
  ['an announcer of all areas', ['announcer'], ['*'], true, true],
  ['an operator of this area', ['viewer', 'operator'], ['north'], true, true],
  ['an announcer of another area', ['announcer'], ['south'], true, false],
  ['an announcer of none', ['announcer'], [], false, false],
  ['no role', [], ['*'], false, false],
])('%s', (_, roles, areas, any, north) => {
  expect([announces({ roles, areas }), announces({ roles, areas }, 'north')]).toEqual([any, north]);
});
