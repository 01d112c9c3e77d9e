//! A process that is killed at any moment loses nothing.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pvt_cuda::config::Mode;
use pvt_cuda::train::checkpoint;
use pvt_cuda::train::fit::{Event, Start};
use pvt_cuda::train::random::{Purpose, Stream};
use pvt_cuda::weights::{LoadOptions, Weights};

use crate::support::{Digits, Setting, assert_same, config};

/// Folder of the run of a child.
const FOLDER: &str = "PVT_TEST_TRAIN_FOLDER";
/// Times that a process is killed.
const KILLS: usize = 12;
/// Milliseconds of one step.
const STEP: u64 = 4;

/// Not a test: what a child does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let start = if folder.join("state.safetensors").exists() {
        Start::Resume
    } else {
        Start::Anew
    };
    let setting = Setting {
        save_every: Some(1),
        ..Setting::new(folder)
    };
    let mut learner = setting.learner();
    learner.pause = Duration::from_millis(STEP);
    // the parent counts these lines, however fast the machine is
    println!("ready");
    let watch = &mut |_: &Event<'_>| {
        println!("event");
        ControlFlow::Continue(())
    };
    let outcome = setting
        .run(&Digits::new(), &mut learner, start, watch)
        .unwrap();
    assert!(outcome.is_finished);
}

fn start(folder: &Path) -> std::process::Child {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args(["kill::child", "--exact", "--nocapture"])
        .env(FOLDER, folder);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let expected = folder.path().join("expected");
    Setting::new(&expected).finish(&Digits::new(), Start::Anew);

    let found = folder.path().join("killed");
    let state = found.join("state.safetensors");
    let mut moments = Stream::new(20, Purpose::Shuffle, 0, 0);
    let (mut killed, mut seen) = (0, std::collections::BTreeSet::new());
    let mut last = 0;
    while killed < KILLS {
        let mut child = start(&found);
        wait_for_lines(&mut child, moments.below(6));
        std::thread::sleep(Duration::from_micros(u64::from(moments.below(10_000))));
        child.kill().unwrap(); // SIGKILL on Unix: no code of the child runs any more
        if child.wait().unwrap().success() {
            break; // it was faster
        }
        killed += 1;
        // whatever the moment: the state is whole, and so is the model
        if state.exists() {
            let step = checkpoint::load(&state).unwrap().progress.step;
            assert!(step >= last, "steps were lost: {step} after {last}");
            last = step;
            seen.insert(step);
        }
        let model = found.join("model.safetensors");
        if model.exists() {
            Weights::open(model, &config(10), Mode::Classify, &LoadOptions::default()).unwrap();
        }
    }
    assert!(seen.len() >= 3, "killed after the steps {seen:?} only");
    let output = start(&found).wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_same(&found, &expected);
}

/// Returns when the child has said that it is ready and that this many things have happened, or has
/// ended.
fn wait_for_lines(child: &mut std::process::Child, events: u32) {
    use std::io::{BufRead as _, BufReader};
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let said = lines
        .map_while(Result::ok)
        .filter(|l| l.contains("ready") || l.contains("event"));
    said.take(1 + events as usize).for_each(drop);
}

/// What a kill at that moment would leave is what a reader finds at that moment.
#[test]
fn whoever_reads_while_a_run_writes_finds_whole_files() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let [state, model] = ["state.safetensors", "model.safetensors"].map(|f| folder.path().join(f));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let over = || is_over.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut read) = (0, 0);
            while !over() {
                if state.exists() {
                    let step = checkpoint::load(&state).unwrap().progress.step;
                    assert!(step >= last, "{step} after {last}");
                    last = step;
                    read += 1;
                }
                if model.exists() {
                    pvt_cuda::weights::TensorFile::open(&model).unwrap();
                }
            }
            read
        });
        let setting = Setting {
            save_every: Some(1),
            ..Setting::new(folder.path())
        };
        setting.finish(&digits, Start::Anew);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}
