/** A peer in a process of its own: takes calls, answers each frame once, never ends. Tells its address. */
import { createFleet, frameOf } from './support.ts';

const mesh = await createFleet().start();
mesh.serveCalls((call) => {
  call.consume({ frame: () => call.send(frameOf(2)), end: () => {}, fail: () => {} });
});
process.on('disconnect', () => process.exit(0));
process.send?.(mesh.addresses()[0]);
