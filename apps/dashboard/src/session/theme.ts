const STORED = 'posthorn.theme';

export type ThemeMode = 'auto' | 'light' | 'dark';

/** What a portal link may change about how the pages look. */
export interface PortalTheme {
  accentColor?: string | null | undefined;
  radiusPx?: number | null | undefined;
  mode?: ThemeMode | null | undefined;
}

export function storedMode(): ThemeMode {
  try {
    const mode = localStorage.getItem(STORED);
    return mode === 'light' || mode === 'dark' ? mode : 'auto';
  } catch {
    return 'auto'; // a frame in which the browser keeps nothing
  }
}

/** `auto` follows the system. Kept in this browser. */
export function chooseMode(mode: ThemeMode): void {
  showMode(mode);
  try {
    localStorage.setItem(STORED, mode);
  } catch {
    // It holds until the page is reloaded.
  }
}

export function applyTheme(): void {
  showMode(storedMode());
}

/** A portal looks like its product: set through the style object, which the content security policy allows. */
export function applyPortalTheme(theme: PortalTheme): void {
  if (theme.mode) showMode(theme.mode);
  const { style } = document.documentElement;
  if (theme.accentColor) {
    style.setProperty('--color-primary', theme.accentColor);
    style.setProperty('--color-primary-content', textOn(theme.accentColor));
  }
  if (typeof theme.radiusPx === 'number') {
    for (const part of ['selector', 'field', 'box'])
      style.setProperty(`--radius-${part}`, `${theme.radiusPx}px`);
  }
}

function showMode(mode: ThemeMode): void {
  if (mode === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = mode;
}

/** Black or white, whichever stands out more from `#rrggbb` (relative luminance, WCAG 2.2). */
function textOn(color: string): string {
  const channels = [1, 3, 5].map((at) => {
    const share = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const [red = 0, green = 0, blue = 0] = channels;
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return luminance > 0.179 ? '#000000' : '#ffffff';
}
