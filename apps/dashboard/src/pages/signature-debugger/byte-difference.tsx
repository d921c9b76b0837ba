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

/** Two bodies side by side, byte by byte; what only one of them has is framed and underlined. */
export function ByteDifference({ difference }: { difference: Difference }) {
  const { offset, sentBytes, receivedBytes } = difference;
  const [sent, received] = [bytesOf(difference.sent), bytesOf(difference.received)];
  const own = ownBytes(sent, received);
  // What stands at the end of one window may stand behind that of the other.
  const isCut = ({ from }: ByteWindow, shown: readonly string[], length: number) =>
    from + shown.length < length;
  const ownOfSent = isCut(difference.received, received, receivedBytes)
    ? withoutEnd(own.first, sent.length)
    : own.first;
  const ownOfReceived = isCut(difference.sent, sent, sentBytes)
    ? withoutEnd(own.second, received.length)
    : own.second;
  return (
    <div className="mt-3">
      <p className="text-quiet mb-2 text-xs">
        They are the same up to byte {offset}. Bytes that only one of them has are framed and underlined.
      </p>
      <div className="grid gap-3 md:grid-cols-2">
        <Bytes
          title="Sent"
          length={sentBytes}
          from={difference.sent.from}
          bytes={sent}
          own={ownOfSent}
          text={difference.sent.text}
        />
        <Bytes
          title="Received"
          length={receivedBytes}
          from={difference.received.from}
          bytes={received}
          own={ownOfReceived}
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
  own,
  text,
}: {
  title: string;
  /** Of the whole body. */
  length: number;
  from: number;
  bytes: readonly string[];
  /** Which of them the other body does not have. */
  own: ReadonlySet<number>;
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
                  <Marked at={row} bytes={bytes} own={own} show={(byte) => byte} gap />
                </td>
                <td className="whitespace-nowrap">
                  <Marked at={row} bytes={bytes} own={own} show={charOf} />
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
  own,
  show,
  gap = false,
}: {
  at: number;
  bytes: readonly string[];
  own: ReadonlySet<number>;
  show: (byte: string) => string;
  gap?: boolean;
}) {
  return bytes.slice(at, at + BYTES_IN_A_ROW).map((byte, index) => (
    <span key={index} className={gap ? 'mr-1' : ''}>
      {!own.has(at + index) ? (
        show(byte)
      ) : (
        <mark className="text-error bg-base-100 font-bold underline outline outline-current">
          {show(byte)}
        </mark>
      )}
    </span>
  ));
}

/** Which bytes of each are not in the longest sequence that both have in common. The windows are of some 50 bytes. */
function ownBytes(first: readonly string[], second: readonly string[]) {
  // common[i][j]: the length of that sequence in first from i on and second from j on.
  const common = Array.from({ length: first.length + 1 }, () => new Array<number>(second.length + 1).fill(0));
  const lengthAt = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = first.length - 1; i >= 0; i -= 1) {
    for (let j = second.length - 1; j >= 0; j -= 1) {
      const row = common[i];
      if (!row) continue;
      row[j] =
        first[i] === second[j]
          ? lengthAt(i + 1, j + 1) + 1
          : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  const own = { first: new Set<number>(), second: new Set<number>() };
  let [i, j] = [0, 0];
  while (i < first.length || j < second.length) {
    if (i < first.length && j < second.length && first[i] === second[j]) {
      i += 1;
      j += 1;
    } else if (j >= second.length || (i < first.length && lengthAt(i + 1, j) >= lengthAt(i, j + 1))) {
      own.first.add(i);
      i += 1;
    } else {
      own.second.add(j);
      j += 1;
    }
  }
  return own;
}

/** Without the unbroken run that ends at the end. */
function withoutEnd(own: ReadonlySet<number>, length: number): ReadonlySet<number> {
  let end = length;
  while (own.has(end - 1)) end -= 1;
  return new Set([...own].filter((index) => index < end));
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
