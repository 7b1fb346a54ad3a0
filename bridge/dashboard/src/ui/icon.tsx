const paths = {
  grid: 'M3 3h6v6H3zM11 3h6v6h-6zM3 11h6v6H3zM11 11h6v6h-6z',
  mic: 'M3 8v4h3l5 4V4L6 8zM14 7.5a4 4 0 010 5M16 5a7.5 7.5 0 010 10',
  wait: 'M10 3a7 7 0 100 14 7 7 0 000-14zM10 6v4.2l2.8 1.8',
  sensor: 'M2 11h4l2.5-7 3.5 12 2.5-5H18',
  topic: 'M4 4h5M4 10h8M4 16h12M4 4v12',
  log: 'M5 2.5h10v15H5zM8 6.5h4M8 10h4M8 13.5h2',
  check: 'M4 10.5l4 4 8-9',
  cross: 'M5 5l10 10M15 5L5 15',
  out: 'M8 3H3v14h5M8 10h9M14 7l3 3-3 3',
  theme: 'M10 3a7 7 0 100 14 7 7 0 000-14z',
} as const;

/** A line drawing of 20 by 20; it says nothing to a screen reader. */
export function Icon({ name }: { name: keyof typeof paths }) {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
      {name === 'theme' && <path d="M10 3a7 7 0 010 14z" fill="currentColor" />}
    </svg>
  );
}

export function Brand() {
  return (
    <svg width="30" height="30" viewBox="0 0 30 30" aria-hidden="true">
      <rect width="30" height="30" rx="7" fill="#16181c" />
      <path d="M7 13v4h3.4l5.1 4V9l-5.1 4z" fill="#ffc400" />
      <path d="M19 11.6a5 5 0 010 6.8M21.8 9a9 9 0 010 12" stroke="#ffc400" stroke-width="1.8" fill="none" stroke-linecap="round" />
    </svg>
  );
}

/** Three bars that move while somebody speaks. */
export function Wave() {
  return <span class="wave" aria-hidden="true"><i /><i /><i /></span>;
}
