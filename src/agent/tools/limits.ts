/** Limits of tools (AGENT-20 to AGENT-29). */

/** Most tools that a model is shown. */
export const TOOLS_MAX = 32;

/** Most calls of tools in one answer. */
export const TOOL_CALLS_MAX = 16;

/** Most times that a model is given results in one answer. */
export const TOOL_ROUNDS_MAX = 8;

/** Most calls that run beside each other. */
export const TOOL_CALLS_AT_ONCE_MAX = 4;

/** Largest arguments of a call, bytes. */
export const TOOL_ARGUMENTS_BYTES_MAX = 16_384;

/** Largest result that a model is given, bytes. */
export const TOOL_RESULT_BYTES_MAX = 16_384;

/** Largest JSON schema of a tool's parameters, bytes. */
export const TOOL_SCHEMA_BYTES_MAX = 8_192;

/** Longest description of a tool, bytes. */
export const TOOL_ABOUT_BYTES_MAX = 1_024;

/** Longest call of a tool. */
export const TOOL_CALL_MS_MAX = 30_000;
