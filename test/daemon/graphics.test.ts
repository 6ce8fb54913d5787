/** What `doctor` foresees of graphics processors, by the files of a system that stand in a folder here. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GraphicsPlaces, graphicsPlaces, missingForCuda } from '../../src/daemon/graphics.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sahara-graphics-'));
});
afterEach(() => rm(root, { recursive: true }));

const put = async (file: string, content = ''): Promise<void> => {
  await mkdir(dirname(join(root, file)), { recursive: true });
  await writeFile(join(root, file), content);
};
const places = (more: Partial<GraphicsPlaces> = {}): GraphicsPlaces => ({
  root,
  modules: [join(root, 'none'), join(root, 'node_modules')],
  libraries: [join(root, 'own')],
  isCheckout: false,
  ...more,
});
const driver = (): Promise<void> => put('proc/driver/nvidia/version', 'NVRM version: 1');
const library = (): Promise<void> => put('node_modules/node-llama-cpp/package.json', '{"version":"3.22.1"}');
const binary = (kind: string): Promise<void> =>
  put(`node_modules/@node-llama-cpp/linux-x64-${kind}/bins/linux-x64-${kind}/a.node`);

test('nothing is missing where there is no driver', async () => {
  await binary('cuda');
  expect(missingForCuda(places())).toBeUndefined();
});

test('a driver without the binary: the line that installs it in the version of the library', async () => {
  await driver();
  await library();
  // What a checkout has in its place.
  await put('node_modules/@node-llama-cpp/linux-x64-cuda/package.json', '{"name":"empty-npm-package"}');
  const missing = missingForCuda(places());
  expect(missing?.why).toContain('the CUDA binary of node-llama-cpp is not');
  expect(missing?.next).toContain('`npm install @node-llama-cpp/linux-x64-cuda@3.22.1`');
  expect(missingForCuda(places({ isCheckout: true }))?.next).toContain('`npm run gpu -- cuda`');
});

test('the driver inside Windows counts too', async () => {
  await put('usr/lib/wsl/lib/libcuda.so.1');
  expect(missingForCuda(places())?.why).toContain('an NVIDIA driver is here');
});

test('a binary without the libraries that it is linked with: which, and what brings them', async () => {
  await driver();
  await binary('cuda');
  await put('etc/ld.so.cache', 'libcudart.so.12\0libcublas.so.12\0libcudart.so.13\0');
  const missing = missingForCuda(places());
  expect(missing?.why).toContain('but not libcublas.so.13');
  expect(missing?.next).toContain('the runtime of CUDA 13');
});

test('libraries are found in the list of the linker, in its own folders and where CUDA puts them', async () => {
  await driver();
  await binary('cuda');
  await put('etc/ld.so.cache', 'ld.so-1.7.0\0libcudart.so.13\0');
  expect(missingForCuda(places())?.why).toContain('not libcublas.so.13');
  await put('own/libcublas.so.13');
  expect(missingForCuda(places())).toBeUndefined();
  expect(missingForCuda(places({ libraries: [] }))).toBeDefined();
  await put('usr/local/cuda/lib64/libcublas.so.13');
  expect(missingForCuda(places({ libraries: [] }))).toBeUndefined();
});

test('either binary is enough with its own version of CUDA', async () => {
  await driver();
  await binary('cuda');
  await binary('cuda-ext');
  expect(missingForCuda(places())?.next).toContain('CUDA 13');
  await put('etc/ld.so.cache', 'libcudart.so.12\0libcublas.so.12\0');
  expect(missingForCuda(places())).toBeUndefined();
});

test('on this machine the packages are looked for where this program finds its own', () => {
  const { modules, root: here, isCheckout } = graphicsPlaces();
  expect(here).toBe('/');
  expect(modules).toContain(join(import.meta.dirname, '../../node_modules'));
  expect(isCheckout).toBe(true);
});
