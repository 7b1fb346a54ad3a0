// Writes a .gz beside every file of dist, in bytes that depend on the input
// alone: a compressor in JavaScript of one pinned version, no time, no name.
// (The zlib of Node gives other bytes on another processor.)
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'fflate';

const budget = 90 * 1024; // bytes after compression, of what the first screen loads
let total = 0;
const files = readdirSync('dist', { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !entry.name.endsWith('.gz'))
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();
for (const file of files) {
  const packed = gzipSync(readFileSync(file), { level: 9, mem: 12, mtime: 0 });
  packed.fill(0, 4, 8); // time of change: none
  packed[9] = 255; // operating system: unknown
  writeFileSync(`${file}.gz`, packed);
  if (!file.endsWith('.md')) total += packed.length;
}
console.log(`${files.length} files, ${(total / 1024).toFixed(1)} KiB compressed of ${budget / 1024} KiB`);
if (total > budget) {
  console.error('the dashboard is over its budget');
  process.exit(1);
}
