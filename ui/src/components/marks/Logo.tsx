/** Three services in the field of a scope. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="#3451d1" />
      <circle cx="16" cy="16" r="9.5" stroke="#fff" strokeOpacity=".45" strokeWidth="1.6" />
      <path d="M9.6 18.8 15 12.4l7 2.8" stroke="#fff" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="9.3" cy="19.2" r="2.9" fill="#fff" />
      <circle cx="15.2" cy="12" r="2.9" fill="#fff" />
      <circle cx="22.6" cy="15.6" r="2.9" fill="#7ee0c0" />
    </svg>
  );
}
