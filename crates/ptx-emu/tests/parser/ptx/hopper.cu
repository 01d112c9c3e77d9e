// nvrtcCompileProgram: -arch=compute_90a -std=c++17 -lineinfo
typedef unsigned int u32; typedef unsigned long long u64;
struct alignas(64) TM { u64 o[16]; };
extern "C" __global__ void __cluster_dims__(2,1,1) __launch_bounds__(128,1,4) tma(const __grid_constant__ TM tm, float*o){
  __shared__ alignas(128) float buf[1024]; __shared__ u64 bar; u32 b=(u32)__cvta_generic_to_shared(&bar), s=(u32)__cvta_generic_to_shared(buf);
  if(threadIdx.x==0){ asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;"::"r"(b),"r"(1)); asm volatile("fence.mbarrier_init.release.cluster;");
   asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"::"r"(b),"r"(4096));
   asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5;"::"r"(s),"l"(&tm),"r"(b),"r"(0),"r"(1),"l"(0x12f0000000000000ull):"memory"); }
  asm volatile("{\n.reg .pred P1;\nLAB_WAIT:\nmbarrier.try_wait.parity.shared::cta.b64 P1, [%0], %1;\n@P1 bra DONE;\nbra LAB_WAIT;\nDONE:\n}"::"r"(b),"r"(0));
  asm volatile("{.reg .pred P; elect.sync _|P, %0; @P st.shared.u32 [%1+4], 7;}"::"r"(~0u),"r"(s));
  float d[4]={}; asm volatile("wgmma.fence.sync.aligned;\n{.reg .pred p; setp.ne.b32 p, %6, 0;\nwgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %5, p, 1, 1, 0, 1;}\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;":"+f"(d[0]),"+f"(d[1]),"+f"(d[2]),"+f"(d[3]):"l"(1ull),"l"(2ull),"r"(1));
  asm volatile("barrier.cluster.arrive.release.aligned;barrier.cluster.wait.acquire.aligned;"); 
  asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
  u32 m; asm volatile("mapa.shared::cluster.u32 %0, %1, %2;":"=r"(m):"r"(s),"r"(1)); float v; asm volatile("ld.shared::cluster.f32 %0, [%1];":"=f"(v):"r"(m));
  float v2; asm volatile("ld.global.nc.L1::no_allocate.L2::128B.f32 %0, [%1];":"=f"(v2):"l"(o+3));
  o[threadIdx.x]=buf[threadIdx.x]+d[0]+d[1]+d[2]+d[3]+v+v2;
}
