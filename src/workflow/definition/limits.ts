/** How large a workflow may be. Whatever is beyond is refused when the workflow is read, with the limit's name. */

/** Steps of one workflow: a plan that a person can still read; lists are for `for_each`. */
export const MAX_STEPS = 500;
/** Characters of a workflow file, or of the JSON of a workflow. */
export const MAX_DEFINITION_CHARS: number = 512 * 1024;
/** How often aliases of one YAML file may be used: more is how a small file becomes a huge value. */
export const MAX_YAML_ALIASES = 100;
/** Arrays and objects within each other, in a payload or an expression. */
export const MAX_NESTING = 64;
/** Characters of the name of a workflow, or the id of a step or input: ids are parts of idempotency keys. */
export const MAX_ID_CHARS = 64;
/** Characters of a description or question. */
export const MAX_TEXT_CHARS = 4096;
/** Declared inputs of a workflow. */
export const MAX_INPUTS = 100;
/** Bytes of JSON of the inputs of one run. */
export const MAX_INPUT_BYTES: number = 1024 * 1024;
/** Steps that one step may name in `depends_on`. */
export const MAX_DEPENDENCIES: number = MAX_STEPS;
/** Tags of a workflow or a step. */
export const MAX_TAGS = 20;
/** Characters of one expression. */
export const MAX_EXPRESSION_CHARS = 4096;
/** How many attempts a step may have beyond its first; each is a task with attempts of its own for lost workers. */
export const MAX_RETRIES = 20;
/** Items of one `for_each`: each has three events in the run's log. */
export const MAX_ITEMS = 10_000;
/** Items of one step that may be under way at once. */
export const MAX_WIDTH = 1000;
/** Items under way at once if `width` says nothing: enough for a few nodes with a few slots each. */
export const DEFAULT_WIDTH = 16;
/** A longer timeout or pause is a mistake in units: ninety days, in milliseconds. */
export const MAX_DURATION_MS: number = 90 * 24 * 3_600_000;
/** Bytes of JSON that one rendered payload, list or text may have, so that no reference repeats itself into gigabytes. */
export const MAX_RENDERED_BYTES: number = 6 * 1024 * 1024;
/** Bytes of JSON that the result of one task may have to be kept in the run's log; files go elsewhere, by reference. */
export const MAX_STEP_RESULT_BYTES: number = 1024 * 1024;
/** Bytes of JSON of all results of one run: it is held in memory while it is conducted. */
export const MAX_RUN_RESULT_BYTES: number = 128 * 1024 * 1024;
