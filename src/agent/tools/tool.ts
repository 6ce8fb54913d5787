/** What a model may use while it answers: a function with parameters in JSON schema, and text as its result. */

/** A JSON schema of an object. */
export type ParameterSchema = Readonly<Record<string, unknown>>;

/** What a model is told of a tool. */
export interface ToolSpec {
  /** Letters, digits, `_` and `-`, at most 64. */
  readonly name: string;
  readonly description: string;
  readonly parameters: ParameterSchema;
}

/** A tool. */
export interface Tool extends ToolSpec {
  /**
   * Runs it with arguments that fit `parameters`. The text is untrusted data. Errors reject: they are told to the
   * model, and do not end the answer.
   */
  run(args: Readonly<Record<string, unknown>>, options: { readonly signal: AbortSignal }): Promise<string>;
}

/** Names that models accept. */
export const TOOL_NAME: RegExp = /^[a-zA-Z0-9_-]{1,64}$/;
