/** Every merge method there is. A new one is a file in `methods/` and a line here. */
import type { Method } from './method.ts';
import { arceeFusion } from './methods/arcee-fusion.ts';
import { breadcrumbs, breadcrumbsTies } from './methods/breadcrumbs.ts';
import { dareLinear, dareTies } from './methods/dare.ts';
import { della, dellaLinear } from './methods/della.ts';
import { karcher } from './methods/karcher.ts';
import { linear } from './methods/linear.ts';
import { modelStock } from './methods/model-stock.ts';
import { multislerp } from './methods/multislerp.ts';
import { nearswap } from './methods/nearswap.ts';
import { nuslerp } from './methods/nuslerp.ts';
import { passthrough } from './methods/passthrough.ts';
import { ram } from './methods/ram.ts';
import { sce } from './methods/sce.ts';
import { slerp } from './methods/slerp.ts';
import { taskArithmetic } from './methods/task-arithmetic.ts';
import { ties } from './methods/ties.ts';

/** The methods by the names that recipes use. */
export const METHODS: ReadonlyMap<string, Method> = new Map(
  [
    linear,
    slerp,
    nuslerp,
    multislerp,
    karcher,
    taskArithmetic,
    ties,
    dareLinear,
    dareTies,
    della,
    dellaLinear,
    breadcrumbs,
    breadcrumbsTies,
    modelStock,
    sce,
    ram,
    nearswap,
    arceeFusion,
    passthrough,
  ].map((method) => [method.name, method]),
);
