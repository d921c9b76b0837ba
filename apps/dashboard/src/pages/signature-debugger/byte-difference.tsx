/** What was sent and what was received, from where they begin to differ. */
export interface Difference {
  /** Of the first byte that differs. */
  offset: number;
  sentBytes: number;
  receivedBytes: number;
  sent: ByteWindow;
  received: ByteWindow;
}

interface ByteWindow {
  /** Of the first byte shown. */
  from: number;
  text: string;
  /** Two digits for each byte, spaces between. */
  hex: string;
}

const BYTES_IN_A_ROW = 8;

/** The `details.difference` of a finding about the body, if that is what it is. */
export function differenceIn(details: Readonly<Record<string, unknown>> | undefined): Difference | undefined {
  const found = details?.['difference'] as Partial<Difference> | undefined;
  return found?.sent && found.received && typeof found.offset === 'number'
    ? (found as Difference)
    : undefined;
}

/** Two bodies side by side, byte by byte; those that differ are framed and underlined. */
export function ByteDifference({ difference }: { difference: Difference }) {
  const { offset, sentBytes, receivedBytes } = difference;
  const [sent, received] = [bytesOf(difference.sent), bytesOf(difference.received)];
  return (
    <div className="mt-3">
      <p className="text-quiet mb-2 text-xs">
        They are the same up to byte {offset}. Bytes that differ are framed and underlined.
      </p>
      <div className="grid gap-3 md:grid-cols-2">
        <Bytes
          title="Sent"
          length={sentBytes}
          from={difference.sent.from}
          bytes={sent}
          others={received}
          text={difference.sent.text}
        />
        <Bytes
          title="Received"
          length={receivedBytes}
          from={difference.received.from}
          bytes={received}
          others={sent}
          text={difference.received.text}
        />
      </div>
    </div>
  );
}

function Bytes({
  title,
  length,
  from,
  bytes,
  others,
  text,
}: {
  title: string;
  /** Of the whole body. */
  length: number;
  from: number;
  bytes: readonly string[];
  others: readonly string[];
  text: string;
}) {
  const rows = Array.from(
    { length: Math.ceil(bytes.length / BYTES_IN_A_ROW) },
    (_, row) => row * BYTES_IN_A_ROW,
  );
  return (
    <div className="border-base-300 bg-base-200 min-w-0 rounded-box border p-2">
      <p className="mb-1 text-sm font-medium">
        {title} <span className="text-quiet font-normal">{length} bytes</span>
      </p>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={`${title}, byte by byte`}>
        <table className="font-mono text-xs" aria-label={`${title}, byte by byte`}>
          <thead className="sr-only">
            <tr>
              <th scope="col">Offset</th>
              <th scope="col">Hex</th>
              <th scope="col">Text</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row}>
                <th scope="row" className="text-quiet pr-3 text-right font-normal">
                  {from + row}
                </th>
                <td className="pr-3 whitespace-nowrap">
                  <Marked at={row} bytes={bytes} others={others} show={(byte) => byte} gap />
                </td>
                <td className="whitespace-nowrap">
                  <Marked at={row} bytes={bytes} others={others} show={charOf} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {bytes.length === 0 && <p className="text-quiet text-xs">It ends before this byte.</p>}
      <p className="mt-2 text-xs">
        <span className="text-quiet">as text </span>
        <bdi className="font-mono break-all whitespace-pre-wrap">{text}</bdi>
      </p>
    </div>
  );
}

function Marked({
  at,
  bytes,
  others,
  show,
  gap = false,
}: {
  at: number;
  bytes: readonly string[];
  others: readonly string[];
  show: (byte: string) => string;
  gap?: boolean;
}) {
  return bytes.slice(at, at + BYTES_IN_A_ROW).map((byte, index) => (
    <span key={index} className={gap ? 'mr-1' : ''}>
      {byte === others[at + index] ? (
        show(byte)
      ) : (
        <mark className="text-error bg-base-100 font-bold underline outline outline-current">
          {show(byte)}
        </mark>
      )}
    </span>
  ));
}

function bytesOf({ hex }: ByteWindow): string[] {
  return hex === '' ? [] : hex.split(' ');
}

const CONTROLS: Readonly<Record<number, string>> = { 0x09: '␉', 0x0a: '␊', 0x0d: '␍', 0x20: '␠' };

/** What a byte is in ASCII; white space as a sign that can be seen, all others as a dot. */
function charOf(hex: string): string {
  const byte = Number.parseInt(hex, 16);
  return CONTROLS[byte] ?? (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·');
}
