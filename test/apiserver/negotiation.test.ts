import { expect } from 'chai';
import { negotiate } from '../../apiserver/http/negotiation.ts';

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

describe('choice of the representation', () => {
  const cases: [string | undefined, 'single' | 'list', string][] = [
    [undefined, 'single', 'object v1'],
    ['*/*', 'list', 'object v1'],
    [`${table},application/json`, 'list', 'table v1'],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'single', 'table v1beta1'],
    [
      'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      'list',
      'partialList v1',
    ],
    ['', 'single', 'object v1'],
    ['application/vnd.kubernetes.protobuf,application/json', 'single', 'object v1'],
    [`${table};q=0.1,application/json`, 'single', 'object v1'],
    ['application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1', 'single', 'partial v1'],
  ];
  for (const [accept, target, expected] of cases) {
    it(`${accept ?? '(no Accept)'} of a ${target} gives ${expected}`, () => {
      const { shape, metaVersion } = negotiate(accept, target);
      expect(`${shape} ${metaVersion}`).to.equal(expected);
    });
  }

  for (const accept of [
    'application/cbor',
    'application/vnd.kubernetes.protobuf',
    'application/json;as=Table;g=other;v=v1',
    'application/json;stream=other',
    'json',
    'application/json;as=__proto__;g=meta.k8s.io;v=v1',
    'text/html',
  ]) {
    it(`${accept} of a list is refused with 406`, () => {
      expect(() => negotiate(accept, 'list'))
        .to.throw(/only the following media types/)
        .with.property('code', 406);
    });
  }
});
