import type { ReactNode, SVGProps } from 'react';

type IconProps = Omit<SVGProps<SVGSVGElement>, 'children'> & { size?: number };

function icon(children: ReactNode) {
  return function Icon({ size = 18, ...props }: IconProps) {
    return (
      <svg
        width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={1.9}
        strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false" {...props}
      >
        {children}
      </svg>
    );
  };
}

export const SearchIcon = icon(<><circle cx="11" cy="11" r="6.5" /><path d="m20 20-4.2-4.2" /></>);
export const CloseIcon = icon(<path d="M6 6l12 12M18 6 6 18" />);
export const PlayIcon = icon(<path d="M7 4.5v15l12-7.5z" />);
export const PauseIcon = icon(<path d="M8 5v14M16 5v14" />);
export const SunIcon = icon(<><circle cx="12" cy="12" r="4" /><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4" /></>);
export const MoonIcon = icon(<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" />);
export const ScreenIcon = icon(<><rect x="3" y="4.5" width="18" height="12" rx="2" /><path d="M9 20h6M12 16.5V20" /></>);
export const PlusIcon = icon(<path d="M12 5v14M5 12h14" />);
export const MinusIcon = icon(<path d="M5 12h14" />);
export const FitIcon = icon(<path d="M4 9V5.5A1.5 1.5 0 0 1 5.5 4H9M15 4h3.5A1.5 1.5 0 0 1 20 5.5V9M20 15v3.5a1.5 1.5 0 0 1-1.5 1.5H15M9 20H5.5A1.5 1.5 0 0 1 4 18.5V15" />);
export const LayoutIcon = icon(<><rect x="3" y="9.5" width="5" height="5" rx="1.2" /><rect x="16" y="3.5" width="5" height="5" rx="1.2" /><rect x="16" y="15.5" width="5" height="5" rx="1.2" /><path d="M8 12h3.5M16 6h-2.5a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2H16" /></>);
export const CheckIcon = icon(<path d="m5 12.5 4.5 4.5L19 7.5" />);
export const ChevronIcon = icon(<path d="m6 9 6 6 6-6" />);
export const ClockIcon = icon(<><circle cx="12" cy="12" r="8.5" /><path d="M12 7.5V12l3 2" /></>);
export const FocusIcon = icon(<><circle cx="12" cy="12" r="3" /><path d="M12 2.5v4M12 17.5v4M2.5 12h4M17.5 12h4" /></>);
export const ArrowIcon = icon(<path d="M5 12h14M13 6l6 6-6 6" />);
export const AlertIcon = icon(<><path d="M12 3.8 2.8 19.5h18.4z" /><path d="M12 10v4.5M12 17h.01" /></>);
export const RadarIcon = icon(<><path d="M12 12 18.5 5.5" /><path d="M19.5 9A8.5 8.5 0 1 1 15 4.1" /><path d="M15.5 10.5a4 4 0 1 1-2-2.2" /><circle cx="12" cy="12" r=".6" fill="currentColor" /></>);
export const FilterIcon = icon(<path d="M4 6h16M7 12h10M10 18h4" />);
export const PlugIcon = icon(<path d="M9 3v5M15 3v5M6.5 8h11v3.5a5.5 5.5 0 0 1-11 0zM12 17v4" />);

/** One sign per kind of node; the shape behind it differs too, so that neither colour nor size is needed to tell. */
export const ServiceIcon = icon(<><path d="M12 3.5 19.5 7.75v8.5L12 20.5l-7.5-4.25v-8.5z" /><path d="M4.8 8 12 12l7.2-4M12 12v8.2" /></>);
export const WorkloadIcon = icon(<><path d="m12 3 9 4.5-9 4.5-9-4.5z" /><path d="m3 12 9 4.5 9-4.5M3 16.5 12 21l9-4.5" /></>);
export const HostIcon = icon(<><rect x="3.5" y="4" width="17" height="7" rx="1.5" /><rect x="3.5" y="13" width="17" height="7" rx="1.5" /><path d="M7 7.5h.01M7 16.5h.01M11 7.5h6M11 16.5h6" /></>);
export const ExternalIcon = icon(<><circle cx="12" cy="12" r="8.5" /><path d="M3.5 12h17M12 3.5c2.5 2.4 3.8 5.3 3.8 8.5s-1.3 6.1-3.8 8.5c-2.5-2.4-3.8-5.3-3.8-8.5S9.5 5.9 12 3.5z" /></>);
export const UnknownIcon = icon(<path d="M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3M12 18h.01" />);
