//! What all tests share: how a trial runs, how large it is, chance that can be repeated.

use std::future::Future;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;

/// What a test answers; anything that can be shown is a failure.
pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// Planning recurses; an unoptimised build needs more than a thread's usual 2 MiB.
const STACK_BYTES: usize = 32 << 20;

/// A test that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(240);

/// Fails the test with a message if the condition does not hold.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;

/// Fails the test if the two differ.
macro_rules! ensure_eq {
    ($got:expr, $wanted:expr, $($message:tt)+) => {
        match (&$got, &$wanted) {
            (got, wanted) if got != wanted => {
                return Err(format!("{}: got {got:?}, wanted {wanted:?}", format!($($message)+)).into());
            }
            _ => {}
        }
    };
}
pub(crate) use ensure_eq;

/// A named test made of an async function.
pub(crate) fn trial<F, Fut>(name: impl Into<String>, run: F) -> Trial
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Outcome>,
{
    Trial::test(name, move || on_large_stack(run))
}

fn on_large_stack<F, Fut>(run: F) -> Outcome
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Outcome>,
{
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        runtime().block_on(async {
            let ended = tokio::time::timeout(sized(TIMEOUT, 20 * TIMEOUT), run()).await;
            ended.unwrap_or_else(|_| Err("it takes too long".into()))
        })
    })?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The one runtime of this process.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .expect("threads can be started")
    })
}

/// Whether sizes and rounds are those of `./dev soak`.
pub(crate) fn soak() -> bool {
    std::env::var("SIGHTLINE_TEST_SIZE").is_ok_and(|size| size == "soak")
}

/// The first for `./dev test`, the second for `./dev soak`.
pub(crate) fn sized<T>(small: T, soak_size: T) -> T {
    if soak() { soak_size } else { small }
}

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// Whether we are root, as in a container: some tests need a mount.
pub(crate) fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// The failure with what it came of before it, e.g. the seed.
pub(crate) fn explained(what: impl std::fmt::Display, failure: &Failed) -> Failed {
    format!("{what}: {}", failure.message().unwrap_or_default()).into()
}

/// Pseudo-random numbers that a seed repeats (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A seed: that of `SIGHTLINE_TEST_SEED`, else a new one each run. Failures print it.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("SIGHTLINE_TEST_SEED").ok().and_then(|s| s.parse().ok());
    given.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        let read =
            std::fs::File::open("/dev/urandom").and_then(|mut f| std::io::Read::read_exact(&mut f, &mut bytes)).is_ok();
        if read { u64::from_le_bytes(bytes) } else { 42 }
    })
}
