import { describe, expect, test } from 'vitest';
import { TransferRate, transferLine } from '../../src/cli/transfer.ts';

describe('how far a download is', () => {
  test('shows a bar, how much of how much, how fast and how long still', () => {
    expect(transferLine(1_200_000_000, 4_800_000_000, 36_000_000)).toBe(
      '[######------------------]  25 %  1.2 GB of 4.8 GB  36.0 MB/s  100 s left',
    );
    expect(transferLine(5, 5, 1)).toBe('[########################] 100 %  5 B of 5 B  1 B/s');
    expect(transferLine(2_000_000, undefined, undefined)).toBe('2.0 MB');
    expect(transferLine(0, 100, 0)).not.toContain('left');
  });

  test('takes the rate over the last seconds, and anew after a new beginning', () => {
    const rate = new TransferRate();
    expect(rate.at(0, 0)).toBeUndefined();
    expect(rate.at(100, 50_000)).toBeUndefined();
    expect(rate.at(1_000, 1_000_000)).toBe(1_000_000);
    for (let second = 2; second <= 20; second++) rate.at(1_000 * second, 1_000_000);
    expect(rate.at(21_000, 1_000_000)).toBe(0);
    expect(rate.at(22_000, 10)).toBeUndefined();
    expect(rate.at(23_000, 2_010)).toBe(2_000);
  });
});
