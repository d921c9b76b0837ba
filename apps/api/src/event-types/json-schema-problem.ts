/** What is wrong with a JSON Schema, and where. */
export interface JsonSchemaProblem {
  path: (string | number)[];
  detail: string;
}

const TYPES = new Set(['null', 'boolean', 'object', 'array', 'number', 'string', 'integer']);
const OF_SCHEMA = ['additionalProperties', 'items', 'not', 'contains', 'propertyNames', 'if', 'then', 'else'];
const OF_SCHEMAS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const OF_NAMED_SCHEMAS = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/**
 * The first thing that no draft of JSON Schema since 6 allows, or `undefined`. A light check: it finds an example
 * put in place of a schema and a mistyped `type`, and does not compile anything, for we never validate with it.
 */
export function jsonSchemaProblem(value: unknown, isRoot = true): JsonSchemaProblem | undefined {
  if (typeof value === 'boolean' && !isRoot) return undefined;
  if (!isObject(value)) {
    return {
      path: [],
      detail: isRoot ? 'must be a JSON Schema object' : 'must be a JSON Schema (an object or a boolean)',
    };
  }
  const { type, required, enum: options } = value;
  const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? [] : [type];
  if (types.some((name) => typeof name !== 'string' || !TYPES.has(name))) {
    return { path: ['type'], detail: `must be of ${[...TYPES].join(', ')}` };
  }
  if (required !== undefined && !isTextList(required))
    return { path: ['required'], detail: 'must be a list of names' };
  if (options !== undefined && !Array.isArray(options))
    return { path: ['enum'], detail: 'must be a list of values' };
  return inMembers(value) ?? inLists(value) ?? inNames(value);
}

function inMembers(value: Record<string, unknown>): JsonSchemaProblem | undefined {
  for (const key of OF_SCHEMA) {
    // Up to draft 2019-09 `items` could be a list.
    const problem = key in value && !Array.isArray(value[key]) ? under([key], value[key]) : undefined;
    if (problem) return problem;
  }
  return undefined;
}

function inLists(value: Record<string, unknown>): JsonSchemaProblem | undefined {
  for (const key of OF_SCHEMAS) {
    if (!(key in value)) continue;
    const list = value[key];
    if (!Array.isArray(list) || list.length === 0)
      return { path: [key], detail: 'must be a list of schemas' };
    for (const [index, item] of list.entries()) {
      const problem = under([key, index], item);
      if (problem) return problem;
    }
  }
  return undefined;
}

function inNames(value: Record<string, unknown>): JsonSchemaProblem | undefined {
  for (const key of OF_NAMED_SCHEMAS) {
    if (!(key in value)) continue;
    const named = value[key];
    if (!isObject(named)) return { path: [key], detail: 'must be an object of schemas' };
    for (const [name, item] of Object.entries(named)) {
      const problem = under([key, name], item);
      if (problem) return problem;
    }
  }
  return undefined;
}

function under(path: (string | number)[], value: unknown): JsonSchemaProblem | undefined {
  const problem = jsonSchemaProblem(value, false);
  return problem && { ...problem, path: [...path, ...problem.path] };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
