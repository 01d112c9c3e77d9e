//! Loaded modules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ast::Ast;
use crate::decode::form::LoadError;
use crate::decode::{self, Decoded};
use crate::program::Program;
use crate::simd::Simd;

/// A PTX module, parsed and decoded. Cheap to clone.
///
/// Every instruction was recognised when it was loaded: nothing unknown is ever skipped.
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) decoded: Arc<Decoded>,
    /// Tells modules apart, whose variables each have memory of their own on a device.
    pub(crate) id: u64,
}

/// A parameter of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the text.
    pub name: String,
    /// Offset among the parameters, in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
}

impl Module {
    /// Reads a PTX text.
    ///
    /// # Errors
    ///
    /// Where the text is not PTX, or has an instruction that is not supported.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        Self::parse_for(text, Simd::detect())
    }

    /// As [`Module::parse`], with a given set of host instructions; one that the processor does not
    /// have is replaced by the widest that it has. Results do not depend on it.
    ///
    /// # Errors
    ///
    /// As [`Module::parse`].
    pub fn parse_for(text: &str, simd: Simd) -> Result<Self, LoadError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ast = Ast::parse(text)?;
        Ok(Self {
            decoded: Arc::new(decode::decode(&ast, simd)?),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Names of its kernels, in the order of the text.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.decoded.programs.iter().map(|p| p.name.as_str())
    }

    /// Parameters of a kernel; none if there is no such kernel.
    pub fn parameters(&self, kernel: &str) -> Option<Vec<Parameter>> {
        let program = self.program(kernel)?;
        let parameters = program.params.iter().map(|p| Parameter {
            name: p.name.clone(),
            offset: p.offset,
            bytes: p.bytes,
        });
        Some(parameters.collect())
    }

    /// Static shared memory of a kernel in bytes; none if there is no such kernel.
    pub fn static_shared_bytes(&self, kernel: &str) -> Option<u32> {
        Some(self.program(kernel)?.static_shared)
    }

    /// `.target` of the module, such as `sm_80`.
    pub fn target(&self) -> &str {
        &self.decoded.target
    }

    /// `.version` of the module: that of the PTX language.
    pub fn version(&self) -> (u32, u32) {
        self.decoded.version
    }

    pub(crate) fn program(&self, kernel: &str) -> Option<&Program> {
        self.decoded.programs.iter().find(|p| p.name == kernel)
    }
}
