import type { Database, Query, Statement } from '@posthorn/store';

/** How the server runs a statement. */
export interface Plan {
  /**
   * The plan as a tree: what each node does, with which index of which relation, by which conditions and in which
   * order. Without whatever differs from run to run: costs, numbers of rows, names of partitions, of which those that
   * are treated alike are shown once.
   */
  shape: string;
  /**
   * Relations of which it reads everything: without an index, or by an index that no condition narrows, and no limit
   * stops.
   */
  readWhole: string[];
  /** Parts of the statement of which all rows are gone through again for each row of another part. */
  repeated: string[];
}

export interface ExplainedStatement extends Plan {
  /** That of the statement; undefined: it has none. */
  name: string | undefined;
  text: string;
  /** What was set before it in its transaction, as SQL. */
  settings: string[];
  /** Planned without looking at its parameters. */
  isGeneric: boolean;
  /** Pages of 8 KB that it read, changed or added, in the buffer cache or not; one is counted each time. */
  pages: number;
  /** Rows that it answered. */
  rows: number;
}

interface PlanNode {
  'Node Type': string;
  Plans?: PlanNode[];
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  [property: string]: unknown;
}

/** Undoes everything that the explained function changed. */
class Undone extends Error {}

/**
 * Runs `work` with a database that explains each statement before it runs it; what it changed is undone.
 *
 * Statements of the data plane run as they always do: in a session with the settings of `Database`, planned without
 * looking at their parameters; but all in one transaction. Those of the control plane must only read.
 */
export async function explained(
  db: Database,
  work: (db: Database) => Promise<unknown>,
): Promise<ExplainedStatement[]> {
  const statements: ExplainedStatement[] = [];
  const parents = await indexParents(db.query);
  const control = await recordControl(db);
  const settings: string[] = [];
  try {
    await db.transaction(async (query) => {
      const explaining: Query = async <Row>(statement: Statement): Promise<Row[]> => {
        const { name, text } = statement;
        if (text.includes('set_config(')) settings.push(text);
        if (!readsOurs(text)) return query<Row>(statement);
        const plan = await planOf(query, text, parents);
        const before = await pagesSoFar(query);
        const rows = await query<Row>(statement);
        const pages = (await pagesSoFar(query)) - before;
        statements.push({
          name,
          text,
          settings: [...settings],
          isGeneric: true,
          rows: rows.length,
          pages,
          ...plan,
        });
        return rows;
      };
      const spy = Object.create(db, {
        query: { value: explaining },
        transaction: { value: (inner: (query: Query) => Promise<unknown>) => inner(explaining) },
      }) as Database;
      await work(spy);
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  } finally {
    control.stop();
  }
  for (const { text, values } of control.asked) {
    const [answer] = await control.query(
      `explain (analyze, buffers, timing off, format json) ${text}`,
      values,
    );
    // What is of the type json is read as text there.
    const explain: Explained = { 'QUERY PLAN': JSON.parse(answer!['QUERY PLAN']) };
    const { Plan: top } = explain['QUERY PLAN'][0];
    const pages = (top['Shared Hit Blocks'] ?? 0) + (top['Shared Read Blocks'] ?? 0);
    const rows = Number(top['Actual Rows']);
    statements.push({
      name: undefined,
      text,
      settings: [],
      isGeneric: false,
      rows,
      pages,
      ...described(explain, parents),
    });
  }
  return statements;
}

/** How another database would run a statement that was explained. */
export async function planElsewhere(
  db: Database,
  { text, settings }: Pick<ExplainedStatement, 'text' | 'settings'>,
): Promise<Plan> {
  const parents = await indexParents(db.query);
  return db.transaction(async (query) => {
    for (const setting of settings) await query({ text: setting });
    return planOf(query, text, parents);
  });
}

async function planOf(query: Query, text: string, parents: ReadonlyMap<string, string>): Promise<Plan> {
  const [server] = await query<{ tellsGeneric: boolean }>({
    text: `select current_setting('server_version_num')::int >= 160000 as "tellsGeneric"`,
  });
  const [explain] = server!.tellsGeneric
    ? await query<Explained>({ text: `explain (generic_plan, costs off, format json) ${text}` })
    : await planToExecute(query, text);
  return described(explain, parents);
}

/** As a session plans that does not look at parameters; of partitions it names none, as no row can match a null. */
async function planToExecute(query: Query, text: string): Promise<Explained[]> {
  const parameters = new Set([...text.matchAll(/\$\d+/g)].map(([parameter]) => parameter));
  const nulls = parameters.size === 0 ? '' : `(${[...parameters].map(() => 'null').join()})`;
  await query({ text: `prepare to_explain as ${text}` });
  const plan = await query<Explained>({
    text: `explain (costs off, format json) execute to_explain${nulls}`,
  });
  await query({ text: 'deallocate to_explain' });
  return plan;
}

/** Not so: asking for the time, or setting something. */
const readsOurs = (text: string): boolean => /\bposthorn\.[a-z_]+\b(?!\()/.test(text);

/** Pages of tables and indexes of ours that this transaction has asked the buffer cache for. */
async function pagesSoFar(query: Query): Promise<number> {
  const [row] = await query<{ pages: number }>({
    text: `
      select sum(pg_stat_get_xact_blocks_fetched(oid))::float8 as pages from pg_class
       where relkind in ('r', 'i', 't')
         and (relnamespace = 'posthorn'::regnamespace or relnamespace = 'pg_toast'::regnamespace)`,
  });
  return row?.pages ?? 0;
}

interface Explained {
  'QUERY PLAN': [{ Plan: PlanNode }];
}

function described(explained: Explained | undefined, parents: ReadonlyMap<string, string>): Plan {
  if (!explained) throw new Error('an explain answered no plan');
  const { Plan: plan } = explained['QUERY PLAN'][0];
  return {
    shape: `${render(plan, parents).join('\n')}\n`,
    readWhole: [...new Set(readWholeBy(plan, false))].sort(),
    repeated: [...new Set(repeatedBy(plan))].sort(),
  };
}

/** What needs all that its children have before it gives anything. */
const BLOCKING = new Set(['Sort', 'Aggregate', 'Hash', 'WindowAgg', 'Gather', 'Gather Merge']);

/** @param isLimited whether something above stops it */
function readWholeBy(node: PlanNode, isLimited: boolean): string[] {
  const type = node['Node Type'];
  const isWhole =
    type === 'Seq Scan' ||
    (/^Index (Only )?Scan$/.test(type) && node['Index Cond'] === undefined && !isLimited);
  const isPassedOn = type === 'Limit' || (isLimited && !BLOCKING.has(type));
  return [
    ...(isWhole ? [withoutNumbers(String(node['Relation Name']))] : []),
    ...(node.Plans ?? []).flatMap((child) =>
      readWholeBy(child, isPassedOn && child['Subplan Name'] === undefined),
    ),
  ];
}

function repeatedBy(node: PlanNode): string[] {
  const children = node.Plans ?? [];
  const joined = children.filter((child) => child['Subplan Name'] === undefined);
  const inner = node['Node Type'] === 'Nested Loop' ? joined[1] : undefined;
  const repeated = inner?.['Node Type'] === 'Materialize' ? inner.Plans?.[0] : inner;
  return [
    ...(repeated?.['Node Type'] === 'CTE Scan' ? [repeated['CTE Name'] as string] : []),
    ...children.flatMap(repeatedBy),
  ];
}

/** What decides which rows a node reads, and in which order. */
const CONDITIONS = [
  'Index Cond',
  'TID Cond',
  'Hash Cond',
  'Merge Cond',
  'Sort Key',
  'Presorted Key',
  'Group Key',
];

/** Grouping by hash or after a sort: the planner's choice turns on a row more or less, and reads the same. */
function withoutSortForGroups(node: PlanNode): PlanNode {
  if (node['Node Type'] !== 'Aggregate') return node;
  if (node['Strategy'] === 'Hashed') return { ...node, Strategy: 'by group' };
  const sort = node.Plans?.find((child) => child['Node Type'] === 'Sort');
  if (node['Strategy'] !== 'Sorted' || !sort) return node;
  const Plans = node.Plans?.flatMap((child) => (child === sort ? (sort.Plans ?? []) : [child])) ?? [];
  return { ...node, Strategy: 'by group', Plans };
}

function render(original: PlanNode, parents: ReadonlyMap<string, string>): string[] {
  const node = withoutSortForGroups(original);
  const lines = [
    head(node, parents),
    ...CONDITIONS.flatMap((key) => {
      const condition = node[key];
      if (condition === undefined) return [];
      const text = Array.isArray(condition) ? condition.join(', ') : (condition as string);
      return [`    ${key}: ${withoutNumbers(text)}`];
    }),
  ];
  const isAppend = node['Node Type'].endsWith('Append');
  const shown = new Set<string>();
  for (const child of node.Plans ?? []) {
    const rendered = render(child, parents);
    const partition = isAppend && /_pdate\b/.test(rendered.join());
    if (partition && shown.has(rendered.join())) continue;
    shown.add(rendered.join());
    const subplan = child['Subplan Name'];
    if (subplan !== undefined) lines.push(`  ${withoutNumbers(subplan as string)}`);
    const [first, ...rest] = rendered;
    const indent = subplan === undefined ? '  ' : '    ';
    lines.push(`${indent}-> ${first}`, ...rest.map((line) => `${indent}   ${line}`));
  }
  return lines;
}

function head(node: PlanNode, parents: ReadonlyMap<string, string>): string {
  const type = node['Node Type'];
  const words = [
    node['Parallel Aware'] === true ? 'Parallel' : '',
    type === 'ModifyTable' ? node['Operation'] : type,
    type === 'Aggregate'
      ? `(${[node['Partial Mode'], node['Strategy']].filter((w) => w !== 'Simple').join(' ')})`
      : '',
    typeof node['Join Type'] === 'string' && node['Join Type'] !== 'Inner' ? `(${node['Join Type']})` : '',
    node['Scan Direction'] === 'Backward' ? 'backward' : '',
  ];
  const index = node['Index Name'];
  if (typeof index === 'string') words.push(`using ${parents.get(index) ?? index}`);
  const relation = node['Relation Name'] ?? node['CTE Name'] ?? node['Function Name'];
  if (typeof relation === 'string') words.push(`on ${withoutNumbers(relation)}`);
  const alias = node['Alias'];
  if (typeof alias === 'string' && alias !== relation) words.push(withoutNumbers(alias));
  return words.filter((word) => word !== '').join(' ');
}

/** Names that are numbered: partitions by the day, aliases of them and subplans by the planner. */
function withoutNumbers(text: string): string {
  return text
    .replace(/_p\d{8}\b/g, '_pdate')
    .replace(/\b([a-z]+(?:_[a-z]+)*)_\d+(?=\.|$)/g, '$1')
    .replace(/\b(InitPlan|SubPlan) \d+/g, '$1');
}

/** What the index of a partition is a part of. */
async function indexParents(query: Query): Promise<Map<string, string>> {
  const rows = await query<{ child: string; parent: string }>({
    text: `
      select child.relname as child, parent.relname as parent
        from pg_inherits i
        join pg_class child on child.oid = i.inhrelid and child.relkind = 'i'
        join pg_class parent on parent.oid = i.inhparent`,
  });
  return new Map(rows.map(({ child, parent }) => [child, parent]));
}

interface ControlRecorder {
  asked: { text: string; values: unknown[] }[];
  stop(): void;
  query(text: string, values: unknown[]): Promise<{ 'QUERY PLAN': string }[]>;
}

/** Notes every statement of the control plane, from now on. */
async function recordControl(db: Database): Promise<ControlRecorder> {
  const control = await db.control();
  const asked: ControlRecorder['asked'] = [];
  const { logger } = control;
  control.logger = Object.create(logger, {
    logQuery: { value: (text: string, values: unknown[] = []) => void asked.push({ text, values }) },
  }) as typeof logger;
  return {
    asked,
    stop: () => (control.logger = logger),
    query: (text, values) => control.query<{ 'QUERY PLAN': string }[]>(text, values),
  };
}
