/** How the page of a timeline looks, on screen and on paper. */
export const STYLE = `
:root{color-scheme:light}*{box-sizing:border-box}
body{font:14px/1.4 system-ui,"DejaVu Sans",sans-serif;color:#1c2733;background:#fff;margin:0 auto;max-width:1500px;padding:14px 20px}
h1{font-size:20px;margin:0 0 4px;color:#b3161b}h2{font-size:15px;margin:22px 0 6px}header p{margin:0 0 8px;color:#445}header p.short{font-size:16px;line-height:1.4;color:#111;max-width:72em}
#story{list-style:none;margin:10px 0 14px;padding:0;border-left:3px solid #d5dbe3}
#story li{display:flex;gap:10px;padding:3px 10px;align-items:baseline}#story li[data-step]{cursor:pointer}
#story b{flex:none;width:20px;text-align:center;font-size:12px;border-radius:10px;background:#56677a;color:#fff}
#story b:empty{background:none}#story em{font-style:normal;font-weight:700}#story .lost{background:#fde8e8;font-weight:600}#story .lost b{background:#c8141b}
figure{margin:0;overflow-x:auto}figure svg{display:block;max-width:100%;height:auto}#timeline{cursor:grab;user-select:none}
#tools{position:sticky;top:0;background:#fff;padding:6px 0;display:flex;flex-wrap:wrap;gap:6px;align-items:center;z-index:1;border-top:1px solid #d5dbe3}
#tools button,#tools input[type=search]{font:inherit;padding:2px 9px;border:1px solid #aab4c0;border-radius:4px;background:#f6f8fa}
#tools input[type=search]{width:250px}#tools small,#range,#matches{color:#667}
svg text{font:11px "DejaVu Sans Mono",ui-monospace,monospace;fill:#1c2733}svg .title{font:600 12px system-ui,"DejaVu Sans",sans-serif}
svg .sub{fill:#6b7885;font-size:10px}svg .heading{font:600 11px system-ui,"DejaVu Sans",sans-serif;fill:#56677a}
svg .ground{fill:#f7f9fb}svg .outside{fill:#eceff3}svg .tick{stroke:#e3e8ee}
.box rect{stroke:#fff;stroke-width:.6}.box.found rect{stroke:#7a1fa2;stroke-width:2.5}
.c0 rect{fill:#bcd9f2}.c1 rect{fill:#c5e5c9}.c2 rect{fill:#ded0f0}.c3 rect{fill:#f6e0b5}.c4 rect{fill:#bfe6e4}.c5 rect{fill:#f3cfdc}
.off rect{fill-opacity:.28}.off text{fill:#8a96a3}.lock rect{fill:#e2a83b}.wait rect{fill:#fff;stroke:#8a96a3;stroke-dasharray:3 2}
.clean rect{fill:#cfe3f5}.dirty rect{fill:#f08a4b}.free rect{fill:#e9edf1}.free text{fill:#6b7885}
.right rect{fill:#5fb878}.old rect{fill:#d7dde4}.gone rect{fill:#fbd5d6;stroke:#c8141b}.gone text{fill:#c8141b;font-weight:600}
.mark line{stroke:#56677a;stroke-dasharray:2 3}.mark circle{fill:#56677a}.mark .here{fill:none;stroke:#56677a}
.mark.lost line{stroke:#c8141b;stroke-width:1.8;stroke-dasharray:none}.mark.lost circle{fill:#c8141b}.mark.lost .here{stroke:#c8141b;stroke-width:2.2}
svg .badge{fill:#fff;font:600 11px system-ui,"DejaVu Sans",sans-serif;text-anchor:middle}svg .losttext{fill:#c8141b;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:4px;font:700 13px system-ui,"DejaVu Sans",sans-serif}
.legend{display:flex;flex-wrap:wrap;gap:16px;margin:8px 0 0;color:#556;font-size:12px}.legend svg{vertical-align:-2px;margin-right:5px}
table{border-collapse:collapse;font:12px/1.35 "DejaVu Sans Mono",ui-monospace,monospace;width:100%}thead th{position:sticky;top:34px;background:#fff;text-align:left}
td,th{padding:1px 8px;vertical-align:top;overflow-wrap:anywhere;border-bottom:1px solid #eef1f4}tbody th{text-align:right;color:#6b7885;font-weight:400}tbody tr{cursor:pointer}
td em{color:#6b7885}td i{display:block;color:#8a4b12;padding-left:14px}tr.lost{background:#fde8e8}tr.lost th{color:#c8141b;font-weight:700}tr.found{outline:2px solid #7a1fa2;outline-offset:-2px}
@media print{body{max-width:none;padding:0;font-size:11px}#tools{display:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
figure,li,tr{break-inside:avoid}h2{break-after:avoid}#everystep::after{content:", near the failure"}figure svg{max-height:118mm}#timeline svg{max-height:160mm}thead th{position:static}tbody tr:not(.near){display:none}@page{size:A4 landscape;margin:10mm}}
`;
