/** What Nest injects by where there is a type only; `Database`, `HintQueue` and `SecretBox` are classes. */
export const CONFIG = Symbol('Config');
export const LOGGER = Symbol('Logger');
