import { BUTTON_ACTIONS, type ButtonAction } from './platform.ts';

/** Action and job that a button's data (`action:job`) names, or `undefined` when it is not one of ours. */
export function pressedButton(
  data: string,
): { readonly action: ButtonAction; readonly job: string } | undefined {
  const match = /^([a-z]+):([0-9a-f]{32})$/.exec(data);
  const action = BUTTON_ACTIONS.find((known) => known === match?.[1]);
  return action === undefined ? undefined : { action, job: match?.[2] ?? '' };
}
