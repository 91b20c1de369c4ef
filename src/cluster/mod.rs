//! Waves of tasks on a cluster of machines: Apache DataFusion Ballista places them, and nothing more.
//!
//! All work on a cluster is a wave of independent tasks that read and write files in shared storage, so that a task
//! can be repeated anywhere. A wave is one Ballista job of one stage, with one partition and one executor slot for
//! each task; what comes back is a row a task. Ballista's shuffle and its retries are not used: they lose rows and
//! repeat work when executors die. Whoever submits a wave finds in shared storage what was done and submits the rest.
//!
//! - [`wave`]: submitting a wave and waiting for it.
//! - [`node`]: the one operator of the plan of a wave, and how it travels.
//! - [`worker`]: running a task on an executor.
//! - [`scheduler`], [`executor`]: the two processes of a cluster; [`link`] is the line between them, [`control`]
//!   what the scheduler asks of an executor, [`running`] the tasks under way there.

mod control;
pub mod executor;
mod link;
mod node;
mod running;
pub mod scheduler;
mod stop;
pub mod wave;
pub mod worker;

/// The most bytes of a message between client, scheduler and executors: four times Ballista's. The plan of a wave,
/// and where its results are, is one message that grows with the tasks; 5,000 have been tried.
const MESSAGE_SIZE: usize = 64 << 20;
