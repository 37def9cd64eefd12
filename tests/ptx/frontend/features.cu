// SPDX-License-Identifier: MIT
// Kernels over many features of CUDA C++, to see what the compiler makes of them through the front end.
#include <cstdio>
#include <cassert>
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda/atomic>
#include <cuda_pipeline.h>
namespace cg = cooperative_groups;
struct S { int a; double b; char c[5]; };
__device__ S gs = {1,2.5,{1,2,3,4,5}};
__device__ const char *strs[2] = {"hello","world"};
typedef int (*fp)(int);
__device__ __noinline__ int f1(int x){return x+1;}
__device__ __noinline__ int f2(int x){return x*2;}
__device__ fp table[2] = {f1,f2};
__managed__ int mgd[4] = {1,2,3,4};
struct Base { __device__ virtual int v(int x){return x;} };
struct D1 : Base { __device__ int v(int x) override {return x+10;} };
struct D2 : Base { int k; __device__ int v(int x) override {return x*k;} };
__global__ void kvirt(int*o,int n){ D1 a; D2 b; b.k=n; Base*p = (threadIdx.x&1)?(Base*)&a:(Base*)&b; o[threadIdx.x]=p->v(threadIdx.x); }
__global__ void kfp(int *o, int i){ o[threadIdx.x]=table[(i+threadIdx.x)&1](threadIdx.x); }
__global__ void kstruct(S s, int*o, S*os){ *o = s.a + s.c[2] + gs.c[1]; os[threadIdx.x]=s; const char*q=strs[*o&1]; printf("%s %d\n", q, *o); }
__global__ void ksw(int*o,int n){ int i=threadIdx.x; int r=0; switch(n){case 0:r=i;break;case 1:r=i*3;break;case 2:r=i^5;break;case 3:r=i<<2;break;case 4:r=-i;break;case 5:r=i%7;break;case 6: r=i/3;break; case 7: r=99;break; default:r=1;} o[i]=r; }
__global__ void khalf(half*h, half2*h2, __nv_bfloat16*b, __nv_bfloat162*b2, float*f){ int i=threadIdx.x; h[i]=hexp(h[i])+__float2half(f[i]); h2[i]=__hfma2(h2[i],h2[i],h2[i]); b[i]=__hadd(b[i],b[i]); b2[i]=__hmul2(b2[i],b2[i]); f[i]=__half2float(h[i])+__bfloat162float(b[i]); h[i]=__hmax_nan(h[i],h[i+1]); if(__hlt(h[i],h[i+2])) h[i]=hsqrt(h[i]); h2[i]=__hfma2_relu(h2[i],h2[i],h2[i]); h[i]=hsin(h[i]); b[i]=htanh(b[i]); }
__global__ void kfp8(__nv_fp8_e4m3*a, __nv_fp8_e5m2*b, float*f){int i=threadIdx.x; f[i]=float(a[i])+float(b[i]); a[i]=__nv_fp8_e4m3(f[i]); b[i]=__nv_fp8_e5m2(f[i]);}
__global__ void kmath(float*f,double*d){int i=threadIdx.x; f[i]=sinf(f[i])+cosf(f[i])+expf(f[i])+logf(f[i])+powf(f[i],f[i+1])+rsqrtf(f[i])+tanhf(f[i])+__fdividef(f[i],3.f)+__fadd_rz(f[i],1.f)+__fmaf_rd(f[i],2.f,3.f)+fmodf(f[i],3.f)+erff(f[i])+lgammaf(f[i]); d[i]=sin(d[i])+exp(d[i])+log(d[i])+pow(d[i],d[i+1])+sqrt(d[i])+__dadd_ru(d[i],1)+cbrt(d[i])+fma(d[i],d[i],d[i])+1.0/d[i]; f[i]=__saturatef(f[i])+copysignf(f[i],-1)+rintf(f[i])+floorf(f[i])+ceilf(f[i])+truncf(f[i]); if(isnan(f[i])||isinf(d[i])) f[i]=0; }
__global__ void kint(unsigned*u,int*s,long long*l,unsigned long long*ul){int i=threadIdx.x; u[i]=__popc(u[i])+__clz(u[i])+__brev(u[i])+__ffs(u[i])+__byte_perm(u[i],u[i+1],0x1234)+__funnelshift_l(u[i],u[i+1],5)+__umulhi(u[i],u[i+1])+__usad(u[i],u[i+1],3)+__dp4a(u[i],u[i+1],4u)+__umul24(u[i],3)+__uhadd(u[i],u[i+1]); s[i]=__mulhi(s[i],s[i+1])+s[i]/s[i+1]+s[i]%7+min(s[i],3)+max(s[i],9)+abs(s[i])+__dp2a_lo(s[i],s[i+1],3); l[i]=l[i]*l[i+1]/7+__mul64hi(l[i],l[i+1])+__popcll(l[i]); ul[i]=__umul64hi(ul[i],ul[i+1])%13; unsigned __int128 q=(unsigned __int128)ul[i]*ul[i+1]; q+=ul[i]; ul[i]=(unsigned long long)(q>>64)^(unsigned long long)q; s[i]=__vadd4(u[i],u[i+1])+__vabsdiffu4(u[i],u[i+1])+__vmaxs2(u[i],u[i+1])+__vcmpeq4(u[i],3)+__vsubss2(u[i],u[i+1])+__viaddmax_s32(s[i],1,2)+__vimin3_s32(s[i],2,3); }
__global__ void kwarp(unsigned*u,float*f){int i=threadIdx.x; unsigned m=__activemask(); u[i]=__ballot_sync(m,u[i]&1)+__any_sync(m,u[i])+__all_sync(m,u[i])+__match_any_sync(m,u[i]); int p; u[i]+=__match_all_sync(m,u[i],&p)+p; u[i]+=__reduce_add_sync(m,u[i])+__reduce_max_sync(m,(int)u[i])+__reduce_xor_sync(m,u[i]); f[i]=__shfl_xor_sync(m,f[i],3)+__shfl_up_sync(m,f[i],1)+__shfl_sync(m,f[i],2,8); u[i]+=__syncthreads_count(u[i])+__syncthreads_and(u[i])+__syncthreads_or(u[i]); __syncwarp(); __nanosleep(10); }
__global__ void katom(int*s,unsigned*u,float*f,double*d,unsigned long long*ul,half2*h2,unsigned short*us){ atomicAdd(s,1);atomicSub(s,1);atomicMin(s,1);atomicMax(s,2);atomicAnd(u,3);atomicOr(u,3);atomicXor(u,3);atomicExch(f,1.f);atomicCAS(u,1,2);atomicInc(u,5);atomicDec(u,5);atomicAdd(f,1.f);atomicAdd(d,1.);atomicAdd(ul,1ull);atomicCAS(ul,1ull,2ull);atomicAdd(h2,*h2);atomicCAS(us,(unsigned short)1,(unsigned short)2);atomicAdd_system(s,1);atomicAdd_block(s,1); cuda::atomic_ref<unsigned,cuda::thread_scope_device> r(*u); r.fetch_add(1,cuda::memory_order_acq_rel); r.store(3,cuda::memory_order_release); s[1]=r.load(cuda::memory_order_acquire); __threadfence();__threadfence_block();__threadfence_system(); __shared__ int sh[64]; atomicAdd(&sh[threadIdx.x&3],1); __syncthreads(); s[2]=sh[0]; }
__global__ void kcg(int*o,float*f){ cg::grid_group g=cg::this_grid(); auto b=cg::this_thread_block(); auto t=cg::tiled_partition<16>(b); int v=cg::reduce(t,(int)threadIdx.x,cg::plus<int>()); o[g.thread_rank()]=v; g.sync(); o[g.thread_rank()]+=o[0]; auto c=cg::coalesced_threads(); o[1]+=c.size(); }
__global__ void __launch_bounds__(128,4) klocal(int*o,int n){ int a[64]; for(int i=0;i<64;i++)a[i]=i*n; int s=0; for(int i=0;i<n;i++) s+=a[(i*7+threadIdx.x)&63]; o[threadIdx.x]=s; }
__global__ void kmalloc(int**o,int n){ int*p=(int*)malloc(n*4); if(p){p[0]=n; o[threadIdx.x]=p;} if(n==3) free(p); assert(n>0); char*q=(char*)alloca(n); q[n-1]=1; *(volatile char*)q; o[1]=(int*)(size_t)q[n-1]; }
__device__ int fib(int n){return n<2?n:fib(n-1)+fib(n-2);}
__global__ void krec(int*o){o[threadIdx.x]=fib(threadIdx.x&7);}
extern __shared__ __align__(128) unsigned char dynsm[];
__global__ void kdyn(float*o){ float*s=(float*)dynsm; double*d=(double*)(dynsm+1024); __shared__ int st[3]; st[threadIdx.x%3]=1; s[threadIdx.x]=o[threadIdx.x]; d[threadIdx.x]=1; __syncthreads(); o[threadIdx.x]=s[threadIdx.x^1]+d[threadIdx.x]+st[0]; if(__isShared(s)) o[0]=1; }
__global__ void kmgd(){ mgd[threadIdx.x]+=1; }
__global__ void kvec(float4*a,const float4*__restrict__ b,double2*d,uchar4*c,short2*s){int i=threadIdx.x;float4 x=__ldg(&b[i]);a[i]=make_float4(x.y,x.x,x.w,x.z);d[i].x+=d[i].y;c[i].x=c[i].w;s[i].y=s[i].x; __stcs(&a[i+1],__ldcg(&b[i+1])); asm volatile("prefetch.global.L2 [%0];"::"l"(a)); }
__global__ void ktrap(int n){ if(n==7) __trap(); if(n==8) __brkpt(); long long c=clock64(); if(c==n) printf("x"); unsigned g; asm("mov.u32 %0, %%globaltimer_lo;":"=r"(g)); if(g==n) printf("%d %f %s\n",n,1.5,"abc"); }
__global__ void kasm(unsigned*u, unsigned long long*l){ unsigned a=u[0],b=u[1],c=u[2],d; asm("{ .reg .pred p; .reg .u32 t1; setp.eq.u32 p,%1,%2; @p mov.u32 t1,1; @!p mov.u32 t1,2; add.cc.u32 %0,t1,%1; addc.u32 %0,%0,0; }":"=r"(d):"r"(a),"r"(b)); u[3]=d; asm("mad.lo.cc.u32 %0,%1,%2,%3; madc.hi.u32 %0,%1,%2,%0;":"=r"(d):"r"(a),"r"(b),"r"(c)); u[4]=d; asm("lop3.b32 %0,%1,%2,%3,0xCA;":"=r"(d):"r"(a),"r"(b),"r"(c)); u[5]=d; asm("bfe.u32 %0,%1,4,8;":"=r"(d):"r"(a)); u[6]=d; asm("bfi.b32 %0,%1,%2,4,8;":"=r"(d):"r"(a),"r"(b)); u[7]=d; asm("bfind.u32 %0,%1;":"=r"(d):"r"(a)); u[8]=d; asm("fns.b32 %0,%1,3,1;":"=r"(d):"r"(a)); u[9]=d; asm("szext.wrap.u32 %0,%1,%2;":"=r"(d):"r"(a),"r"(b)); u[10]=d; asm("bmsk.clamp.b32 %0,%1,%2;":"=r"(d):"r"(a),"r"(b)); u[11]=d; asm("slct.u32.s32 %0,%1,%2,%3;":"=r"(d):"r"(a),"r"(b),"r"(c)); u[12]=d; asm("sad.s32 %0,%1,%2,%3;":"=r"(d):"r"(a),"r"(b),"r"(c)); u[13]=d; asm volatile("{.reg .b64 x,y; .reg .b128 q; mov.b128 q,{%0,%0}; mov.b128 {x,y},q; st.global.b64 [%1],x;}"::"l"(l[0]),"l"(l)); }
