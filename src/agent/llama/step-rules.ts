/**
 * The number of the rules by which tokens are put into steps (MODEL-17, MODEL-98). What a model says depends on how
 * many tokens are read at once: whoever changes those rules counts on, and it is another determinism class.
 */
export const STEP_RULES = 2;
