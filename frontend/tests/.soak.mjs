import { launch } from './browser.mjs';
import { traffic } from './traffic.mjs';
const base='http://127.0.0.1:7396'; const minutes=+process.argv[2];
const browser=await launch(); const page=await browser.newPage({viewport:{width:1280,height:800}});
await page.goto(base+'/#/overview');
const ac=new AbortController(); const t=traffic(base,minutes*60,ac.signal).catch(e=>console.log(String(e)));
for(let m=0;m<minutes;m++){ await new Promise(r=>setTimeout(r,60000));
  const s=await page.evaluate(()=>new Promise(done=>{let n=0,worst=0,last=performance.now();const t0=last;const f=now=>{worst=Math.max(worst,now-last);last=now;n++;now-t0<3000?requestAnimationFrame(f):done({fps:n/3,worst,heap:performance.memory.usedJSHeapSize/1e6})};requestAnimationFrame(f)}));
  const reqs=(await (await fetch(base+'/samovar/v1/requests?limit=1')).json()).windows;
  console.log(m+1,'min',JSON.stringify(s)); }
ac.abort(); await browser.close();
