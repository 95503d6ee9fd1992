// The fire on the graphics card: one triangle, one small buffer. It asks for a low-power context and none at all where drawing would fall
// to the processor (then the still picture stays). Frames: 30 a second while speaking, 12 otherwise, none when hidden; a governor halves
// the buffer when frames come late, then stops. Brightness of the whole varies by less than 10 % and slower than 3 Hz.
import { drawnByProcessor } from '../look/card';
import type { HearthState } from '../wire/types';

export interface Fire { show(state: HearthState | 'unreachable', progress: number | null, rate: number | null): void; spark(): void; calm(yes: boolean): void; stop(): void }

/** What a state looks like: height, width, lean towards the page, paleness, embers, smoke. */
const LOOKS: Record<HearthState | 'unreachable', [number, number, number, number, number, number]> = {
  asleep: [0.02, 0.7, 0, 0, 0, 0], idle: [0.34, 0.62, 0, 0.1, 0.9, 0], loading: [0.42, 0.9, 0, 0.1, 0.8, 0], reading: [0.4, 0.74, -0.5, 0.15, 1, 0],
  thinking: [0.78, 0.36, 0, 0.75, 0.9, 0], speaking: [0.62, 0.82, 0, 0.25, 1, 0], error: [0.03, 0.5, 0, 0, 0.25, 1], unreachable: [0, 0.4, 0, 0, 0, 0],
};

const VERTEX = 'attribute vec2 p;varying vec2 v;void main(){v=p*.5+.5;gl_Position=vec4(p,0.,1.);}';
const FRAGMENT = `precision mediump float;
varying vec2 v; uniform float time; uniform vec4 look; uniform vec3 more; uniform vec3 low, mid, high, pale, grey; uniform vec3 sparks[8];
float hash(vec2 q){return fract(sin(dot(q,vec2(41.3,289.1)))*45758.5);}
float noise(vec2 q){vec2 i=floor(q),f=fract(q);f=f*f*(3.-2.*f);return mix(mix(hash(i),hash(i+vec2(1,0)),f.x),mix(hash(i+vec2(0,1)),hash(i+vec2(1,1)),f.x),f.y);}
float clouds(vec2 q){return noise(q)*.55+noise(q*2.1+7.)*.3+noise(q*4.3+3.)*.15;}
float tongue(vec2 u,float x,float h,float w,float s){
  float y=u.y/max(h,.001); if(y>1.15) return 0.;
  float sway=(clouds(vec2(s*9.,u.y*2.6-time*1.3))-.5)*.34*y+look.z*y*y*.35;
  float taper=w*pow(max(0.,1.-y*.92),.8)*(.75+.45*smoothstep(0.,.22,y));
  float d=abs(u.x-x-sway)/max(taper,.002);
  float eat=clouds(vec2(u.x*5.+s,u.y*4.-time*2.1))*.85*y;
  return clamp((1.-d)*1.5-eat,0.,1.);
}
void main(){
  vec2 u=vec2(v.x-.5,v.y-.07); float h=look.x,w=look.y,lit=more.z;
  float open=smoothstep(lit+.06,lit-.06,v.x);
  float f=0.;
  if(u.y>0.){
    f=max(f,tongue(u,0.,h,.17*w,1.)*open);
    f=max(f,tongue(u,-.17*w,h*.72,.12*w,2.3)*open); f=max(f,tongue(u,.18*w,h*.66,.12*w,3.7)*open);
    f=max(f,tongue(u,-.31*w,h*.4,.08*w,5.1)*open); f=max(f,tongue(u,.31*w,h*.44,.08*w,6.7)*open);
  }
  float heat=f*(1.12-u.y/max(h,.02)*.55);
  vec3 c=mix(low,mid,smoothstep(.12,.5,heat)); c=mix(c,high,smoothstep(.45,.8,heat)); c=mix(c,pale,smoothstep(.72,1.,heat)*(.35+look.w)); c=mix(c,mix(c,pale,.6),look.w*f);
  float a=smoothstep(.02,.34,f);
  float bed=clouds(v*vec2(16.,22.)+vec2(0.,time*.08));
  float ember=more.x*smoothstep(.62,.95,bed+.25)*smoothstep(.2,.0,abs(v.y-.07)*1.7)*smoothstep(.5,.2,abs(u.x));
  c=mix(c,mix(low,high,bed),ember*(1.-a)); a=max(a,ember*.85);
  if(more.y>0.){float s=clouds(vec2(u.x*4.+sin(v.y*5.+time*.5)*.4,v.y*3.-time*.45));float k=smoothstep(.42,.8,s)*smoothstep(.32,.0,abs(u.x+.06*sin(v.y*7.+time)))*smoothstep(1.,.25,v.y)*.55*more.y;c=mix(c,grey,k);a=max(a,k);}
  for(int i=0;i<8;i++){vec3 q=sparks[i];float d=length((v-q.xy)*vec2(1.,1.1));float k=smoothstep(.014,.002,d)*q.z;c=mix(c,pale,k);a=max(a,k);}
  gl_FragColor=vec4(c*a,a);
}`;

type Rgb = [number, number, number];
function colour(name: string): Rgb {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255) as Rgb;
}

function compile(gl: WebGLRenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(type);
    if (!shader || !program) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/** null where there is no graphics card to draw on: the still picture stays. */
export function lightFire(canvas: HTMLCanvasElement, gone: () => void): Fire | null {
  const gl = canvas.getContext('webgl', { alpha: true, antialias: false, depth: false, powerPreference: 'low-power', failIfMajorPerformanceCaveat: true });
  const program = gl && !drawnByProcessor(gl) ? compile(gl) : null;
  if (!gl || !program) return null;
  canvas.width = 240;
  canvas.height = 240;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.bindAttribLocation(program, 0, 'p');
  gl.vertexAttribPointer(gl.getAttribLocation(program, 'p'), 2, gl.FLOAT, false, 0, 0);
  const at = (name: string) => gl.getUniformLocation(program, name);
  const places = { time: at('time'), look: at('look'), more: at('more'), sparks: at('sparks') };
  for (const [name, token] of [['low', '--flame-low'], ['mid', '--flame-mid'], ['high', '--flame-high'], ['pale', '--flame-pale'], ['grey', '--smoke']] as const) gl.uniform3fv(at(name), colour(token));

  let state: HearthState | 'unreachable' = 'idle';
  let target = [...LOOKS.idle];
  const now = [...LOOKS.asleep];
  let lit = 1.2;
  let wantLit = 1.2;
  let still = false;
  let frame = 0;
  let last = 0;
  let late = 0;
  let sparkled = 0;
  const sparks = Array.from({ length: 8 }, () => ({ x: 0, y: 0, vx: 0, age: 9 }));

  const draw = (time: number) => {
    const seconds = Math.min(0.2, (time - last) / 1000 || 0.03);
    last = time;
    for (let i = 0; i < now.length; i++) now[i]! += ((target[i] ?? 0) - now[i]!) * Math.min(1, seconds * 3.2);
    lit += (wantLit - lit) * Math.min(1, seconds * 4);
    const data = new Float32Array(24);
    sparks.forEach((s, i) => {
      s.age += seconds;
      s.x += (s.vx + Math.sin(time / 260 + i) * 0.03) * seconds;
      s.y += 0.42 * seconds;
      data.set([s.x, s.y, Math.max(0, 1 - s.age / 1.5)], i * 3);
    });
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform1f(places.time, still ? 3 : time / 1000);
    gl.uniform4f(places.look, now[0]!, now[1]!, now[2]!, now[3]!);
    gl.uniform3f(places.more, now[4]!, now[5]!, lit);
    gl.uniform3fv(places.sparks, data);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  };
  const loop = (time: number) => {
    frame = 0;
    const gap = state === 'speaking' || state === 'loading' ? 1000 / 30 : 1000 / 12;
    if (time - last >= gap - 4) {
      if (last > 0 && time - last > gap * 2.5 && time - last < 1000) late++; else late = Math.max(0, late - 0.2);
      if (late > 12) { if (canvas.width > 120) { canvas.width = canvas.height = 120; late = 0; } else { stop(); gone(); return; } }
      draw(time);
    }
    const settled = now.every((value, i) => Math.abs(value - (target[i] ?? 0)) < 0.005);
    if (!((still || state === 'asleep') && settled)) frame = requestAnimationFrame(loop); // banked coals are drawn once, by Coals.svelte
  };
  const wake = () => { if (!frame && !document.hidden) frame = requestAnimationFrame(loop); };
  const hide = () => { if (document.hidden) { cancelAnimationFrame(frame); frame = 0; } else { last = 0; wake(); } };
  const lost = (event: Event) => { event.preventDefault(); stop(); gone(); };
  document.addEventListener('visibilitychange', hide);
  canvas.addEventListener('webglcontextlost', lost);
  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    document.removeEventListener('visibilitychange', hide);
    canvas.removeEventListener('webglcontextlost', lost);
  }
  wake();
  return {
    show(next, progress, rate) {
      state = next;
      target = [...LOOKS[next]];
      if (next === 'speaking' && rate) target[0] = Math.min(0.9, 0.42 + 0.07 * Math.log2(1 + rate));
      wantLit = next === 'loading' ? (progress ?? 0) * 1.1 + 0.05 : 1.2;
      wake();
    },
    spark() {
      const time = performance.now();
      if (still || time - sparkled < 125) return; // eight a second
      sparkled = time;
      const s = sparks.reduce((a, b) => (a.age > b.age ? a : b));
      Object.assign(s, { x: 0.42 + Math.random() * 0.16, y: 0.25 + Math.random() * 0.2, vx: (Math.random() - 0.5) * 0.16, age: 0 });
      wake();
    },
    calm(yes) { still = yes; last = 0; wake(); },
    stop,
  };
}
