/** A `.bin` file of PyTorch: an archive with a pickle that says which tensors lie where in its other entries. */
import { crc32 } from 'node:zlib';
import { fromUtf8 } from '../../base/bytes.ts';
import { SaharaError } from '../../base/errors.ts';
import { byteLength } from '../dtypes.ts';
import { HEADER_BYTES_MAX, TENSORS_MAX } from '../limits.ts';
import { elementCount, type TensorEntry } from '../safetensors.ts';
import { type PickledTensor, readPickle } from './pickle.ts';
import { type ByteSource, readZip, type ZipEntry } from './zip.ts';

const PICKLE = 'data.pkl';

/**
 * The tensors of a file. Fails with `tensor-invalid` when it is damaged, with `merge-refused` when it holds anything but
 * tensors, or tensors that do not lie in one piece.
 */
export function readTorch(source: ByteSource): readonly TensorEntry[] {
  const entries = readZip(source);
  const [path, ...others] = [...entries.keys()].filter((name) => name.split('/').at(-1) === PICKLE);
  const folder = path?.slice(0, -PICKLE.length);
  const pickled = entries.get(path ?? '');
  if (!pickled || folder === undefined || others.length > 0)
    throw invalid('has no list of tensors, or several');
  if (pickled.sizeBytes > HEADER_BYTES_MAX) throw invalid('the list of tensors is too long');
  const order = entries.get(`${folder}byteorder`);
  if (order && fromUtf8(readEntry(source, order)) !== 'little') throw invalid('is not little-endian');
  const tensors = [...readPickle(readEntry(source, pickled))];
  if (tensors.length > TENSORS_MAX) throw invalid('too many tensors');
  return tensors.map(([name, tensor]) =>
    place(name, tensor, entries.get(`${folder}data/${tensor.storage.key}`)),
  );
}

// The pickle decides what is read, so it is held against its checksum.
function readEntry(source: ByteSource, { name, offset, sizeBytes, crc32: stated }: ZipEntry): Uint8Array {
  if (sizeBytes > HEADER_BYTES_MAX) throw invalid('an entry is too long', name);
  const bytes = source.read(offset, sizeBytes);
  if (crc32(bytes) !== stated) throw invalid('an entry does not have its checksum', name);
  return bytes;
}

function place(name: string, tensor: PickledTensor, entry: ZipEntry | undefined): TensorEntry {
  const { storage, start, shape } = tensor;
  if (!entry || entry.sizeBytes !== byteLength(storage.dtype, storage.elements)) {
    throw invalid('the data of a tensor is missing or of another size', name);
  }
  const elements = elementCount(shape);
  if (start + elements > storage.elements) throw invalid('reaches beyond its data', name);
  if (!isWhole(tensor)) {
    throw new SaharaError('merge-refused', { reason: 'a tensor does not lie in one piece', name });
  }
  const { dtype } = storage;
  const offset = entry.offset + byteLength(dtype, start);
  return { name, dtype, shape, elements, offset, sizeBytes: byteLength(dtype, elements) };
}

// Row after row, without gaps: the strides of extents above one are the products of those inside them.
function isWhole({ shape, strides }: PickledTensor): boolean {
  if (strides.length !== shape.length) return false;
  if (shape.includes(0)) return true;
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const extent = shape[i] ?? 1;
    if (extent > 1 && strides[i] !== step) return false;
    step *= extent;
  }
  return true;
}

function invalid(reason: string, name?: string): SaharaError {
  return new SaharaError('tensor-invalid', { reason, ...(name === undefined ? {} : { name }) });
}
