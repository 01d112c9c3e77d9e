//! Backward steps against differences of the forward ones, in f64.

use std::collections::BTreeMap;
use std::sync::Arc;

use pvt_cuda::Error;
use pvt_cuda::executor::{Executor, Params};
use pvt_cuda::plan::{BufferId, Builder, Elements, Plan, View};
use pvt_cuda::target::cpu::CpuTarget;

use crate::harness::wide;

/// Half the distance of neighbouring points of a difference, and the error accepted of four of them: truncation is of
/// fourth order, rounding 1e-16 over the distance.
const STEP: f64 = 1e-3;
const TOLERANCE: f64 = 1e-8;

/// Values by name: of inputs and of parameters.
type Values = BTreeMap<String, Vec<f64>>;

/// An operator with its way back. `inputs` are names and lengths; `forward` gives the result and its length;
/// `backward` gets the gradient of the result behind the same inputs, and gives the gradients of inputs by their index.
pub(crate) fn check<F, B>(case: &str, inputs: &[(&str, usize)], forward: F, backward: B)
where
    F: Fn(&mut Builder, &[BufferId]) -> (BufferId, usize),
    B: Fn(&mut Builder, &[BufferId], BufferId) -> Vec<(usize, BufferId)>,
{
    let start = |builder: &mut Builder| -> Vec<BufferId> {
        let input = |&(name, len): &(&str, usize)| builder.named_input(name, &[len], Elements::F32);
        inputs.iter().map(input).collect()
    };
    let mut builder = Builder::new();
    let ids = start(&mut builder);
    let (y, len) = forward(&mut builder, &ids);
    builder.output("y", View::contiguous(y, &[len])).unwrap();
    let plan = Arc::new(builder.finish().unwrap());

    let mut builder = Builder::new();
    let ids = start(&mut builder);
    let dy = builder.named_input("dy", &[len], Elements::F32);
    for (at, id) in backward(&mut builder, &ids, dy) {
        let (name, len) = inputs[at];
        builder
            .output(format!("grad.{name}"), View::contiguous(id, &[len]))
            .unwrap();
    }
    let back = Arc::new(builder.finish().unwrap());

    let mut values: Values = inputs
        .iter()
        .map(|&(n, len)| (n.to_owned(), wide(n, len)))
        .collect();
    for param in plan.params().iter().chain(back.params()) {
        values.insert(param.name.clone(), wide(&param.name, param.len()));
    }
    values.insert("dy".to_owned(), wide("dy", len));

    let mut executor = executor(&back);
    run(&mut executor, &values);
    let outputs = back
        .outputs()
        .iter()
        .filter(|o| o.name.starts_with("grad."));
    let mut found = 0;
    let mut forward = self::executor(&plan);
    for output in outputs {
        found += 1;
        let name = &output.name["grad.".len()..];
        let gradient = executor.read(&output.view);
        for turn in 0..2 {
            let direction = wide(&format!("{name} {turn}"), gradient.len());
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let at = |steps: f64, forward: &mut Executor<f64>| {
                let mut moved = values.clone();
                let value = moved.get_mut(name).unwrap();
                for (v, d) in value.iter_mut().zip(&direction) {
                    *v += steps * STEP * d;
                }
                run(forward, &moved);
                let y = forward.output("y").unwrap();
                y.iter().zip(&values["dy"]).map(|(y, w)| y * w).sum::<f64>()
            };
            let mut difference = |steps: f64| at(steps, &mut forward) - at(-steps, &mut forward);
            let slope = (8.0 * difference(1.0) - difference(2.0)) / (12.0 * STEP);
            let size = gradient.iter().map(|g| g * g).sum::<f64>().sqrt().max(1e-3);
            let error = (slope - expected).abs() / size;
            assert!(
                error < TOLERANCE,
                "{case}: d {name}: {expected} found, {slope} by differences"
            );
        }
    }
    assert!(found > 0, "{case}: nothing was checked");
}

fn executor(plan: &Arc<Plan>) -> Executor<f64> {
    let params = Params::load_as(plan, |_, _| Ok::<_, Error>(()));
    Executor::new(plan.clone(), params.unwrap(), CpuTarget::new(2).unwrap()).unwrap()
}

fn run(executor: &mut Executor<f64>, values: &Values) {
    executor.update_params(|name| &values[name]).unwrap();
    executor.zero_gradients();
    let names: Vec<String> = executor
        .plan()
        .inputs()
        .iter()
        .map(|i| i.name.clone())
        .collect();
    let inputs: Vec<&[f64]> = names.iter().map(|name| values[name].as_slice()).collect();
    executor.run_inputs(&inputs).unwrap();
}
