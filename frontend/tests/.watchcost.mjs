import { launch } from './browser.mjs';
const base='http://127.0.0.1:7397';
async function rate(i){
  const began=performance.now(); let first,last,n=0;
  const a=await fetch(base+'/v1/chat/completions',{method:'POST',headers:{'Content-Type':'application/json'},body:JSON.stringify({stream:true,temperature:0,max_tokens:400,messages:[{role:'user',content:'Tell me '+i}],stream_options:{include_usage:true}})});
  const d=new TextDecoder(); let text='';
  for await(const c of a.body){ text+=d.decode(c); const now=performance.now(); first??=now; last=now; }
  const u=JSON.parse(text.split('\n').filter(l=>l.includes('"usage":{')).pop().slice(6)).usage;
  return (u.completion_tokens-1)/((last-first)/1000);
}
const med=a=>a.slice().sort((x,y)=>x-y)[a.length>>1];
const browser=await launch(); 
await rate(0); await rate(1);
const out={none:[],curl:[],page:[]};
for(let r=0;r<7;r++){
  out.none.push(await rate('n'+r));
  const ac=new AbortController(); const w=fetch(base+'/samovar/v1/events',{signal:ac.signal}).then(async x=>{for await(const _ of x.body);}).catch(()=>{});
  out.curl.push(await rate('c'+r)); ac.abort(); await w;
  const p=await browser.newPage({viewport:{width:1280,height:800}}); await p.goto(base+'/#/overview'); await p.waitForTimeout(500);
  out.page.push(await rate('p'+r)); await p.close();
}
for(const k in out) console.log(k, med(out[k]).toFixed(1),'tok/s', out[k].map(x=>x.toFixed(0)).join(' '));
console.log('events ÷ none', (med(out.curl)/med(out.none)).toFixed(3), 'page ÷ none', (med(out.page)/med(out.none)).toFixed(3));
await browser.close();
