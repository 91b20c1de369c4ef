//! The operator that runs tasks, and how it travels from the client over the scheduler to the executors.
//!
//! Below it stands a table in memory with one row a partition, the number of a task: the scheduler knows how to give
//! each executor its partitions of such a table, and of no leaf of ours.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err, internal_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, SendableRecordBatchStream,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use futures::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::worker::Slots;
use crate::fleet::{Ended, Wave};

/// The plan of a wave: a partition for each task, in order.
pub(super) fn plan(wave: &Wave<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::new(Schema::new(vec![Field::new("task", DataType::UInt32, false)]));
    let row = |&task| {
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(UInt32Array::from(vec![task])) as ArrayRef])?;
        Ok(vec![batch])
    };
    let partitions = wave.tasks.iter().map(row).collect::<Result<Vec<_>>>()?;
    let tasks = DataSourceExec::from_data_source(MemorySourceConfig::try_new(&partitions, schema, None)?);
    let orders = Orders { wave: wave.name.to_owned(), order: wave.order.to_owned() };
    Ok(Arc::new(WaveNode::new(Arc::new(orders), tasks, None)))
}

/// A plan whose tasks are run by a worker, until `stop` is true.
pub(super) fn with_worker(
    plan: Arc<dyn ExecutionPlan>,
    worker: &Arc<Slots>,
    stop: &Arc<AtomicBool>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let hire = |node: Arc<dyn ExecutionPlan>| {
        let Some(wave) = node.downcast_ref::<WaveNode>() else { return Ok(Transformed::no(node)) };
        let worker = Some((worker.clone(), stop.clone()));
        let hired = WaveNode::new(wave.orders.clone(), wave.tasks.clone(), worker);
        Ok(Transformed::yes(Arc::new(hired) as Arc<dyn ExecutionPlan>))
    };
    Ok(plan.transform(hire)?.data)
}

/// What the tasks of a batch of results came to.
pub(super) fn done(batch: &RecordBatch) -> Result<Vec<Ended>> {
    let [tasks, ok, message] = batch.columns() else {
        return internal_err!("{} columns in a result", batch.num_columns());
    };
    let tasks = column::<UInt32Array>(tasks)?;
    let (ok, messages) = (column::<BooleanArray>(ok)?, column::<StringArray>(message)?);
    let row = |i| {
        let message = messages.value(i).to_owned();
        Ended { task: tasks.value(i), outcome: if ok.value(i) { Ok(message) } else { Err(message) } }
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn column<A: Array + 'static>(column: &ArrayRef) -> Result<&A> {
    let is = column.data_type();
    column.as_any().downcast_ref().ok_or_else(|| internal_datafusion_err!("a column of a wave is of type {is}"))
}

fn rows(done: Vec<Ended>) -> Result<RecordBatch> {
    let tasks: UInt32Array = done.iter().map(|done| done.task).collect();
    let ok: BooleanArray = done.iter().map(|done| Some(done.outcome.is_ok())).collect();
    let messages = done.into_iter().map(|done| done.outcome.unwrap_or_else(|message| message));
    let messages = StringArray::from_iter_values(messages);
    Ok(RecordBatch::try_new(schema_of_done(), vec![Arc::new(tasks), Arc::new(ok), Arc::new(messages)])?)
}

fn schema_of_done() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("task", DataType::UInt32, false),
        Field::new("ok", DataType::Boolean, false),
        Field::new("message", DataType::Utf8, false),
    ]))
}

/// What all tasks of a wave have in common.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    /// The name of the wave.
    pub(super) wave: String,
    /// What its tasks need to know.
    pub(super) order: String,
}

/// Runs a task for each row of its input, once it has a worker. On its way through client and scheduler it has none.
struct WaveNode {
    orders: Arc<Orders>,
    tasks: Arc<dyn ExecutionPlan>,
    worker: Option<Hired>,
    properties: Arc<PlanProperties>,
}

/// Who runs the tasks, and whether to stop.
type Hired = (Arc<Slots>, Arc<AtomicBool>);

impl WaveNode {
    fn new(orders: Arc<Orders>, tasks: Arc<dyn ExecutionPlan>, worker: Option<Hired>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema_of_done()),
            tasks.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { orders, tasks, worker, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for WaveNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveNode").field("wave", &self.orders.wave).finish_non_exhaustive()
    }
}

impl DisplayAs for WaveNode {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaveNode: {}", self.orders.wave)
    }
}

impl ExecutionPlan for WaveNode {
    fn name(&self) -> &str {
        "WaveNode"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.tasks]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [tasks] = children.as_slice() else { return internal_err!("a wave has one input, not {}", children.len()) };
        Ok(Arc::new(Self::new(self.orders.clone(), tasks.clone(), self.worker.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(hired) = self.worker.clone() else { return internal_err!("tasks run on executors only") };
        let tasks = self.tasks.execute(partition, context)?;
        let orders = self.orders.clone();
        let batches = tasks.and_then(move |batch| run_all(batch, hired.clone(), orders.clone()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema_of_done(), batches)))
    }
}

/// Runs the tasks of a batch one after the other: a batch is what one slot is to do.
async fn run_all(batch: RecordBatch, (worker, stop): Hired, orders: Arc<Orders>) -> Result<RecordBatch> {
    let tasks = column::<UInt32Array>(batch.column(0))?.values().to_vec();
    let run = |task| {
        let (worker, orders, stop) = (worker.clone(), orders.clone(), stop.clone());
        async move { Ok::<_, DataFusionError>(Ended { task, outcome: worker.run(orders, task, stop).await }) }
    };
    let done = stream::iter(tasks.into_iter().map(Ok)).and_then(run).try_collect().await?;
    rows(done)
}

/// Writes and reads our operator, and leaves Ballista's to Ballista.
#[derive(Debug, Default)]
pub(super) struct Codec {
    others: BallistaPhysicalExtensionCodec,
}

/// What an encoded wave begins with. No message of Ballista's does: `t` would end a group that has not begun.
const MAGIC: &[u8] = b"trommel wave 1\n";

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(orders) = bytes.strip_prefix(MAGIC) else {
            return self.others.try_decode(bytes, inputs, context, converter);
        };
        let orders = serde_json::from_slice(orders).map(Arc::new);
        let orders = orders.map_err(|error| internal_datafusion_err!("a wave: {error}"))?;
        let [tasks] = inputs else { return internal_err!("a wave has one input, not {}", inputs.len()) };
        Ok(Arc::new(WaveNode::new(orders, tasks.clone(), None)))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(wave) = node.downcast_ref::<WaveNode>() else {
            return self.others.try_encode(node, bytes, converter);
        };
        bytes.extend(MAGIC);
        serde_json::to_writer(bytes, &*wave.orders).map_err(|error| internal_datafusion_err!("a wave: {error}"))
    }
}
