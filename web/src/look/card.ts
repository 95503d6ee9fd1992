// Whether a graphics card draws this page. Without one every change of the picture is drawn by the processor, on the cores that the model
// speaks with; then the fire stands still and words come in steps (state/beat.ts).

/** Some browsers give a context that the processor draws and do not call that a caveat. */
export function drawnByProcessor(gl: WebGLRenderingContext): boolean {
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  return info !== null && /swiftshader|llvmpipe|softpipe|software|basic render/i.test(String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)));
}

let known: boolean | undefined;

/** Asked once; the context that was made for the question is given back. */
export function cardDraws(): boolean {
  if (known !== undefined) return known;
  const gl = document.createElement('canvas').getContext('webgl', { antialias: false, depth: false, powerPreference: 'low-power', failIfMajorPerformanceCaveat: true });
  known = gl !== null && !drawnByProcessor(gl);
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return known;
}
