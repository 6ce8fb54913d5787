/**
 * The versions of CometBFT that the daemon is tried with, one of each line that it runs with; the first is installed
 * unless another is asked for. This is the only place that names them: `scripts/install-cometbft` reads this line.
 * Never the newest that Go's module command would choose: that is a line which was given up.
 */
export const COMET_VERSIONS: readonly [string, ...string[]] = ['v0.38.25', 'v0.39.4', 'v0.40.0'];

/** The line that installs CometBFT. */
export const COMET_INSTALL: string = `go install github.com/cometbft/cometbft/cmd/cometbft@${COMET_VERSIONS[0]}`;
